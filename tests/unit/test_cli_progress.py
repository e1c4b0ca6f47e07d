"""How an ingest shows how far it is, and how it ends."""

import asyncio
import io
import time
from collections import Counter

import pytest
from rich.console import Console

from ragstone.cli.progress import Pace, shown_progress
from ragstone.cli.render import LONG_LIST, print_citations, print_results, print_tally
from ragstone.cli.tally import FileFailure, Kind, Tally


def console(*, terminal: bool = False, width: int = 200) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=width, _environ={"TERM": "xterm"})


def text(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def tally(
    *, new: int = 0, unchanged: int = 0, failures: tuple[FileFailure, ...] = (), total: int = 10
) -> Tally:
    return Tally(
        total, searchable=Counter({Kind.NEW: new, Kind.UNCHANGED: unchanged}), failures=list(failures)
    )


class TestPace:
    def test_it_tells_counts_rates_and_the_time_left(self) -> None:
        counted = tally(new=2, unchanged=1, failures=(FileFailure("a", "c", "m"),))
        counted.bytes_sent, counted.started_at = 8_000_000, time.monotonic() - 4

        assert Pace(counted).words() == (
            "4 of 10 files, 1 failed, 1 unchanged, 1.0 files/s, 2.0 MB/s sent, 0:00:06 left"
        )

    def test_what_is_not_known_yet_is_not_told(self) -> None:
        assert Pace(tally()).words() == "0 of 10 files, 0.0 files/s, 0 bytes/s sent"


class TestProgress:
    async def test_in_a_terminal_there_is_a_bar_that_goes_away(self) -> None:
        terminal = console(terminal=True, width=80)

        async with shown_progress(terminal, tally(new=5)):
            await asyncio.sleep(0.3)

        assert "━" in text(terminal)
        assert "5 of 10 files" in text(terminal)
        assert text(terminal).endswith("\x1b[2K")

    async def test_in_a_terminal_it_is_said_what_is_waited_for(self) -> None:
        terminal, counted = console(terminal=True), tally()
        counted.wait_for("the server's queue is full; waiting\x1b[31m")

        async with shown_progress(terminal, counted):
            await asyncio.sleep(0.3)

        assert "the server's queue is full; waiting\N{REPLACEMENT CHARACTER}[31m" in text(terminal)

    async def test_elsewhere_there_is_a_line_now_and_then(self) -> None:
        log, counted = console(width=20), tally(new=5)
        counted.wait_for("no [bold] answer")

        async with shown_progress(log, counted, line_every_s=0.01):
            await asyncio.sleep(0.1)

        lines = text(log).splitlines()
        assert len(lines) > 1
        assert all(line.startswith("5 of 10 files, ") for line in lines)
        assert all(line.endswith(" (no [bold] answer)") for line in lines)

    async def test_a_short_ingest_has_no_lines(self) -> None:
        log = console()

        async with shown_progress(log, tally()):
            pass

        assert text(log) == ""


class TestEnd:
    def test_every_failure_is_told_with_code_reason_and_page(self) -> None:
        shown = console()
        failures = tuple(FileFailure(f"{number}.pdf", "parse_failed", "broken", 3) for number in range(5))

        print_tally(shown, tally(new=5, failures=failures))

        assert "5 of 10 files are searchable: 5 new, 0 changed, 0 unchanged; 5 failed" in text(shown)
        assert text(shown).count("parse_failed │ broken (p. 3)") == 5

    def test_a_long_list_is_counted_by_code_as_well(self) -> None:
        shown = console()
        failures = [FileFailure(str(number), "no_text", "m") for number in range(LONG_LIST)]

        print_tally(shown, tally(failures=(*failures, FileFailure("x", "encrypted", "m")), total=21))

        assert f"{LONG_LIST} no_text, 1 encrypted" in text(shown)

    def test_a_long_path_is_folded_and_not_cut(self) -> None:
        shown = console(width=60)

        print_tally(shown, tally(failures=(FileFailure("Z" * 500, "no_text", "m"),)))

        assert text(shown).count("Z") == 500

    def test_names_and_reasons_do_not_steer_the_terminal(self) -> None:
        shown = console()

        print_tally(shown, tally(failures=(FileFailure("[red]\x1b[2J", "no_text", "[link=x]"),)))

        assert "[red]\N{REPLACEMENT CHARACTER}[2J" in text(shown)
        assert "[link=x]" in text(shown)

    def test_one_that_was_stopped_says_how_to_go_on(self) -> None:
        shown, counted = console(), tally(new=5)
        counted.stopped = "interrupted"

        print_tally(shown, counted)

        assert "interrupted. To go on, run the same command again" in text(shown)


NOWHERE = {"page": None, "page_end": None, "sheet": None, "slide": None}


class TestPlaces:
    @pytest.mark.parametrize(
        ("location", "shown_as"),
        [
            ({"page": 3, "page_end": 3}, " p. 3, "),
            ({"page": 3, "page_end": None}, " p. 3, "),
            ({"page": 3, "page_end": 4}, " pp. 3-4, "),
            ({"slide": 5}, " slide 5, "),
            ({"sheet": "[b]Budget"}, " sheet [b]Budget, "),
        ],
    )
    def test_citations_and_passages_tell_where_they_stand(
        self, location: dict[str, object], shown_as: str
    ) -> None:
        source = {"title": "t", "heading": [], "location": NOWHERE | location, "start": 0, "end": 4}
        citation = {"n": 1, "verified": True, "source": {**source, "quote": "text"}}
        passage = {**source, "n": 1, "score": 0.5, "scores": {}, "text": "text"}
        cited, found = console(), console()

        print_citations(cited, [citation])
        print_results(found, [passage])

        assert f"t{shown_as}0–4, verified" in text(cited)
        assert f"t{shown_as}0.500" in text(found)

    def test_where_there_are_no_pages_nothing_is_told(self) -> None:
        shown = console()
        source = {"title": "t", "heading": [], "location": NOWHERE, "start": 0, "end": 4, "quote": "text"}

        print_citations(shown, [{"n": 1, "verified": True, "source": source}])

        assert "t 0–4, verified" in text(shown)
