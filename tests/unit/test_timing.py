"""Stage timings of one request."""

import pytest

from ragstone.core.timing import Stopwatch


def test_a_stage_that_runs_twice_adds_up() -> None:
    stopwatch = Stopwatch()
    stopwatch.add("search", 1.5)
    stopwatch.add("search", 2.0)

    assert stopwatch.stages() == {"search_ms": 3.5}


def test_a_stage_is_timed_also_when_it_raises() -> None:
    stopwatch = Stopwatch()
    with pytest.raises(ValueError, match="broken"), stopwatch.stage("search"):
        raise ValueError("broken")

    assert stopwatch.stages()["search_ms"] >= 0


def test_a_mark_is_set_once() -> None:
    stopwatch = Stopwatch()
    stopwatch.mark("first_token")
    first = stopwatch.stages()
    stopwatch.mark("first_token")

    assert stopwatch.stages() == first


def test_once_stopped_the_total_stays_the_same() -> None:
    stopwatch = Stopwatch()

    stopped = stopwatch.stop()

    assert stopped == stopwatch.report()
    assert stopped["total_ms"] <= stopwatch.elapsed_ms


def test_the_report_holds_the_stages_and_the_total() -> None:
    stopwatch = Stopwatch()
    with stopwatch.stage("embedding"):
        pass

    report = stopwatch.report()

    assert list(report) == ["embedding_ms", "total_ms"]
    assert report["embedding_ms"] <= report["total_ms"] <= stopwatch.elapsed_ms


def test_once_stopped_no_stage_grows() -> None:
    stopwatch = Stopwatch()
    stopwatch.add("search", 1.0)
    stopped = stopwatch.stop()

    with stopwatch.stage("delivery"):
        stopwatch.add("search", 1.0)

    assert stopwatch.report() == stopped


def test_retries_are_counted_by_what_was_retried() -> None:
    stopwatch = Stopwatch()
    for name in ("llm", "llm", "embedding"):
        stopwatch.count_retry(name)

    assert stopwatch.retries == {"llm": 2, "embedding": 1}


def test_a_stage_that_runs_twice_lasts_from_its_first_beginning_to_its_last_end() -> None:
    stopwatch = Stopwatch()
    for _ in range(2):
        with stopwatch.stage("generation"):
            pass
        with stopwatch.stage("delivery"):
            pass

    first, second = stopwatch.laps()

    assert (first.name, second.name) == ("generation", "delivery")
    assert stopwatch.started_s <= first.began_s < second.began_s < first.ended_s < second.ended_s
    assert first.busy_ms < (first.ended_s - first.began_s) * 1000


def test_what_is_known_of_a_stage_is_kept_with_it() -> None:
    stopwatch = Stopwatch()
    with stopwatch.stage("generation"):
        stopwatch.tell("generation", model="m", temperature=None)
    stopwatch.tell("generation", output_tokens=3)

    (lap,) = stopwatch.laps()

    assert lap.facts == {"model": "m", "output_tokens": 3}
