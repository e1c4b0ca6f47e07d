"""`demo`: from nothing to cited answers, on the project's own documentation, in a folder that is thrown away."""

import asyncio
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.progress import track

import ragstone
from ragstone.bootstrap import Container, build_container
from ragstone.cli.local_files import find_files
from ragstone.cli.render import print_outcome, print_piece
from ragstone.config.settings import Settings, load_settings
from ragstone.core.answers import Answer, apply
from ragstone.core.errors import StartupError
from ragstone.core.models import DEFAULT_TENANT, JobState, Scope, Token
from ragstone.core.timing import Stopwatch
from ragstone.pipelines.asking import Ask
from ragstone.pipelines.searching import Search
from ragstone.services.documents import ReceivedFile, UploadFields

QUESTIONS = (
    "What survives a kill -9?",
    "When is a citation verified?",
    "What makes a deleted document invisible?",
)
UNANSWERABLE = "Who won the football world cup in 1998?"
POLL_S = 0.2
NEXT = (
    ("ragstone serve", "start the API on http://127.0.0.1:8000 (documentation at /docs)"),
    ("ragstone ingest PATH…", "put your own files in"),
    ('ragstone ask "…"', "ask them"),
)


async def run_demo() -> None:
    """Ingest, ask, abstain, say what to try next."""
    console = Console(highlight=False)
    with tempfile.TemporaryDirectory(prefix="ragstone-demo-") as folder:
        async with build_container(demo_settings(Path(folder))) as container:
            await _ingest(console, container, documentation())
            for question in (*QUESTIONS, UNANSWERABLE):
                await _ask(console, container, question)
    console.print("\n[bold]Next[/]")
    for command, meaning in NEXT:
        console.print(f"  [cyan]uv run {command}[/]  {meaning}")


def demo_settings(folder: Path) -> Settings:
    """No model, no reranker and no encoder but the packaged one, whatever the environment holds. Raises InvalidSetting."""
    return load_settings(
        data_dir=folder,
        llm_provider="extractive",
        embedding_provider="minilm",
        openai_api_key=None,
        openai_base_url=None,
        aisuite_models=(),
        rerank_url=None,
    )


def documentation() -> list[Path]:
    """The documentation's files: beside the code in a checkout, inside the package once installed."""
    package = Path(ragstone.__file__).parent
    for folder in (package / "_docs", package.parents[1] / "docs"):
        if folder.is_dir():
            files = find_files([folder]).files
            return [file.path for file in files if file.path.suffix in {".md", ".html", ".txt"}]
    raise StartupError("the documentation that the demo reads was not installed with the package")


async def _ingest(console: Console, container: Container, files: Sequence[Path]) -> None:
    jobs = [await _upload(container, path) for path in files]
    for job_id in track(jobs, f"ingesting {len(files)} documents", console=console):
        while (await container.manifest.get_job(DEFAULT_TENANT, job_id)).state in (
            JobState.QUEUED,
            JobState.RUNNING,
        ):
            await asyncio.sleep(POLL_S)


async def _upload(container: Container, path: Path) -> str:
    import hashlib

    content = path.read_bytes()
    spool = container.documents.new_spool()
    spool.write_bytes(content)
    received = ReceivedFile(
        spool, hashlib.sha256(content).hexdigest(), len(content), content[:8192], path.name, None
    )
    acceptance = await container.documents.upload_file(
        received, UploadFields(Scope(), source=path.as_posix())
    )
    assert acceptance.job is not None
    return acceptance.job.id


async def _ask(console: Console, container: Container, question: str) -> None:
    """Tokens are printed as they come."""
    console.print(f"\n[bold]? {question}[/]")
    answer = Answer()
    asked = Ask(Search(scope=Scope(), question=question, top_k=5))
    async for event in container.query.stream(asked, request_id="demo", stopwatch=Stopwatch()):
        apply(answer, event)
        if isinstance(event, Token):
            print_piece(event.text)
    console.print()
    print_outcome(console, asdict(answer))
