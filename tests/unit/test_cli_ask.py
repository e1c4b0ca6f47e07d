"""`ragstone ask` with a model that writes: over HTTP where a server owns the data directory, and in one process."""

import asyncio
import io
import json
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from ragstone import vector_opening
from ragstone.cli.ask import run_ask
from ragstone.cli.ingest import run_ingest
from ragstone.client import CallFailed
from ragstone.config.settings import Settings, load_settings
from ragstone.core.retry import RetryBudget
from ragstone.services import switching
from ragstone.testing.embedders import HashingEmbedder
from ragstone.testing.upstream import Fault, ScriptedUpstream
from tests.live import Live, live_server
from tests.servers import clean_environment
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

REFUNDS = "# Refunds\n\nRefunds are paid within fourteen days of the return.\n"
QUESTION = "Are refunds paid within fourteen days of the return?"
ANSWER = "Refunds are paid within fourteen days of the return. [1]"
SLOW = Fault("slow", text="40")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def model() -> AsyncIterator[ScriptedUpstream]:
    """The model of both."""
    async with ScriptedUpstream() as upstream:
        yield upstream


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def at_rest(
    model: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Settings]:
    """A filled data directory that nobody owns."""
    folder = tmp_path_factory.mktemp("rest")
    (folder / "refunds.md").write_text(REFUNDS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(switching, "FLUSH_EVERY_S", 0.0)
        patch.setitem(vector_opening.EMBEDDERS, "minilm", "tests.unit.test_cli:hashing")
        settings = settings_for(folder, model)
        assert (await run_ingest(settings, [folder / "refunds.md"], "default")).is_success
        yield settings


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def live(model: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Live]:
    """A server that owns its data directory and says where it is."""
    settings = settings_for(tmp_path_factory.mktemp("live"), model)
    async with live_server(settings, HashingEmbedder(dimension=256)) as live:
        live.container.directory.announce(live.url, command="ragstone serve")
        await live.api.ready(REFUNDS.encode(), "refunds.md")
        yield live


def settings_for(folder: Path, model: ScriptedUpstream) -> Settings:
    return load_settings(
        data_dir=folder / "data",
        openai_base_url=model.base_url,
        openai_model="scripted",
        retry_min_wait=0.01,
        retry_max_wait=0.05,
    )


@pytest.fixture(params=["served", "in process"])
def settings(
    request: pytest.FixtureRequest, live: Live, at_rest: Settings, upstream: ScriptedUpstream
) -> Settings:
    """Both ways to reach the API, as if no request had failed before."""
    if request.param == "in process":
        return at_rest
    for dependency in live.container.dependencies:
        dependency.breaker.reset()
        dependency.budget = RetryBudget()
    return settings_for(live.container.directory.path.parent, upstream)


@pytest.fixture
def upstream(model: ScriptedUpstream, monkeypatch: pytest.MonkeyPatch) -> ScriptedUpstream:
    """The model without faults, with no request seen, quoting its sources."""
    monkeypatch.setenv("COLUMNS", "200")
    model.clear()
    model.requests.clear()
    model.say = None
    return model


async def ask(
    settings: Settings, *, as_json: bool = False, show_sources: bool = False, **options: Any
) -> None:
    await run_ask(settings, QUESTION, options, as_json=as_json, show_sources=show_sources)


class Terminal(io.StringIO):
    """Notes whether the model was still writing when a text was printed."""

    def __init__(self, model: ScriptedUpstream):
        super().__init__()
        self._model = model
        self.while_writing: list[str] = []

    def write(self, text: str) -> int:
        """Keep it; whoever only tries whether bytes are taken is told by the base class."""
        if self._model.open_requests and text:
            self.while_writing.append(text)
        return super().write(text)


class TestFailures:
    async def test_an_error_in_mid_stream_keeps_the_text_and_is_one_sentence(
        self, settings: Settings, upstream: ScriptedUpstream, capsys: pytest.CaptureFixture[str]
    ) -> None:
        upstream.script(Fault("drop_mid", after=8))

        with pytest.raises(CallFailed, match=r"^upstream_interrupted: [^\n]+$"):
            await ask(settings)

        printed = capsys.readouterr().out
        assert printed == f"{printed.strip()}\n"
        assert ANSWER.startswith(printed.strip())

    async def test_an_unknown_provider_is_refused_with_the_names_of_those_configured(
        self, settings: Settings, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(CallFailed, match="'nobody' is not configured; configured: openai, extractive"):
            await ask(settings, provider="nobody")

        assert capsys.readouterr().out == ""

    @pytest.mark.parametrize("as_json", [True, False])
    async def test_a_model_that_refuses_is_an_error_of_the_api(
        self, settings: Settings, upstream: ScriptedUpstream, *, as_json: bool
    ) -> None:
        upstream.script(Fault("status", code=401))

        with pytest.raises(CallFailed, match=r"^upstream_refused: "):
            await ask(settings, as_json=as_json)

    async def test_whoever_stops_listening_stops_the_model(
        self, settings: Settings, upstream: ScriptedUpstream, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        terminal = Terminal(upstream)
        monkeypatch.setattr(sys, "stdout", terminal)
        upstream.script(Fault("hang_mid"))
        asking = asyncio.create_task(ask(settings))
        await until(lambda: _is_true(terminal.while_writing))

        asking.cancel()
        await upstream.wait_until_idle(1.0)

        assert upstream.requests[-1].outcome == "client_left"
        with pytest.raises(asyncio.CancelledError):
            await asking

    async def test_ctrl_c_in_mid_stream_exits_130_without_a_trace(
        self, live: Live, upstream: ScriptedUpstream, tmp_path: Path
    ) -> None:
        upstream.script(Fault("hang_mid"))
        process = await _ragstone(
            "ask", QUESTION, "--data-dir", str(live.container.directory.path), cwd=tmp_path
        )
        assert process.stdout is not None
        shown = await process.stdout.read(3)

        process.send_signal(signal.SIGINT)
        rest, problems = await process.communicate()

        assert (process.returncode, problems) == (130, b"")
        assert ANSWER.startswith((shown + rest).decode().strip())
        await upstream.wait_until_idle(1.0)
        assert upstream.requests[-1].outcome == "client_left"


class TestAnswer:
    async def test_it_is_printed_while_the_model_still_writes(
        self, settings: Settings, upstream: ScriptedUpstream, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        terminal = Terminal(upstream)
        monkeypatch.setattr(sys, "stdout", terminal)
        upstream.script(SLOW)

        await ask(settings)

        assert len(terminal.while_writing) > 5
        assert ANSWER.startswith("".join(terminal.while_writing)[:20])
        assert terminal.getvalue().startswith(f"{ANSWER}\n  [1] ")

    async def test_one_without_the_model_says_so(
        self, settings: Settings, upstream: ScriptedUpstream, capsys: pytest.CaptureFixture[str]
    ) -> None:
        upstream.script(Fault("status", code=503, times=0))

        await ask(settings)

        lines = capsys.readouterr().out.splitlines()
        assert lines[:2] == [
            ANSWER,
            "  degraded: llm (the model could not be reached; the answer is extractive)",
        ]

    async def test_a_sentence_without_support_is_listed(
        self, settings: Settings, upstream: ScriptedUpstream, capsys: pytest.CaptureFixture[str]
    ) -> None:
        upstream.say = f"{ANSWER} The moon is made of green cheese."

        await ask(settings)

        shown = capsys.readouterr().out
        assert "  grounded: partial; without support in the sources:\n" in shown
        assert "      “The moon is made of green cheese.”\n" in shown

    async def test_one_that_was_cut_says_so(
        self, settings: Settings, upstream: ScriptedUpstream, capsys: pytest.CaptureFixture[str]
    ) -> None:
        upstream.script(Fault("length"))

        await ask(settings)

        assert "the answer is cut: it reached the longest length allowed" in capsys.readouterr().out

    async def test_a_model_does_not_steer_the_terminal(
        self, settings: Settings, upstream: ScriptedUpstream, capsys: pytest.CaptureFixture[str]
    ) -> None:
        upstream.say = "Refunds\x1b[2J are\x07 paid\x9b31m\r\nwithin fourteen days."

        await ask(settings)

        shown = capsys.readouterr().out
        assert not set(shown) & set("\x07\r\x1b\x9b")
        assert shown.startswith("Refunds\N{REPLACEMENT CHARACTER}[2J are")

    async def test_json_is_the_reply_as_it_is(
        self, settings: Settings, upstream: ScriptedUpstream, capsys: pytest.CaptureFixture[str]
    ) -> None:
        await ask(settings, as_json=True)

        reply = json.loads(capsys.readouterr().out)
        assert (reply["answer"], reply["model"], reply["grounded"]) == (ANSWER, "scripted", "full")

    async def test_the_passages_are_shown_on_request(
        self, settings: Settings, capsys: pytest.CaptureFixture[str]
    ) -> None:
        await ask(settings)
        without = capsys.readouterr().out
        await ask(settings, show_sources=True)

        passages = capsys.readouterr().out.splitlines()[len(without.splitlines()) :]
        assert passages[0].startswith("1. Refunds")
        assert "dense " in passages[0]
        assert "Refunds are paid within fourteen days" in passages[1]

    async def test_the_provider_and_the_model_are_those_named(
        self, settings: Settings, upstream: ScriptedUpstream, capsys: pytest.CaptureFixture[str]
    ) -> None:
        await ask(settings, provider="extractive", model="extractive")

        assert capsys.readouterr().out.startswith(ANSWER)
        assert upstream.requests == []


async def _is_true(found: object) -> bool:
    return bool(found)


async def _ragstone(*arguments: str, cwd: Path) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "ragstone.cli",
        *arguments,
        cwd=cwd,
        env=clean_environment(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        preexec_fn=_listen_to_ctrl_c,
    )


def _listen_to_ctrl_c() -> None:
    """A shell ignores it in what it starts in the background, and its children inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
