"""The commands: parse arguments, call, print. What they do lies in the modules beside this one."""

import json
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from ragstone import __version__

app = typer.Typer(
    name="ragstone",
    help="A RAG API you can trust with your documents.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

DataDir = Annotated[
    Path | None, typer.Option("--data-dir", help="Folder that holds everything. [env: RAGSTONE_DATA_DIR]")
]
CollectionOption = Annotated[
    str | None, typer.Option("--collection", "-c", help="Which collection, if not default.")
]
TopK = Annotated[
    int | None, typer.Option("--top-k", "-k", min=1, max=100, help="How many passages to retrieve, if not 5.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the API's reply as it is.")]


def main() -> None:
    """Run a command; a failure we know is one sentence and exit 1 (2 for wrong input), not a trace."""
    from ragstone.cli.failure import CommandFailed
    from ragstone.core.errors import RagstoneError

    try:
        app()
    except (RagstoneError, CommandFailed) as error:
        typer.secho(f"ragstone: {error}", fg="red", err=True)
        sys.exit(error.exit_status if isinstance(error, CommandFailed) else 1)


@app.callback(invoke_without_command=True)
def _version(
    *, version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False
) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit


@app.command()
def demo() -> None:
    """See it work: ingest the documentation into a throw-away folder and ask it questions."""
    from ragstone.cli.demo import run_demo

    _run(run_demo())


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on. [env: RAGSTONE_HOST]")] = None,
    port: Annotated[
        int | None, typer.Option(help="Port to listen on; 0 picks one. [env: RAGSTONE_PORT]")
    ] = None,
    data_dir: DataDir = None,
    workers: Annotated[
        int | None, typer.Option(help="Processes that answer requests. [env: RAGSTONE_WORKERS]")
    ] = None,
    *,
    reindex: Annotated[
        bool,
        typer.Option(
            "--reindex",
            help="If another embedder is configured than the documents have: serve them and index them anew beside.",
        ),
    ] = False,
) -> None:
    """Start the API."""
    settings = _settings(host=host, port=port, data_dir=data_dir, workers=workers)
    if settings.workers > 1:
        from ragstone.cli.supervisor import run_workers

        _run(run_workers(settings, reindex=reindex))
    else:
        from ragstone.cli.serve import run_server

        _run(run_server(settings, reindex=reindex))


@app.command()
def ingest(
    paths: Annotated[list[Path], typer.Argument(exists=True, help="Files and folders; folders are walked.")],
    collection: CollectionOption = None,
    data_dir: DataDir = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as one JSON object.")] = False,
) -> None:
    """Upload files and wait until each is searchable, or known to have failed. Stopped and run again, it goes on."""
    from ragstone.cli.ingest import run_ingest

    settings = _settings(data_dir=data_dir)
    tally = _run(run_ingest(settings, paths, collection or "default", as_json=as_json))
    raise typer.Exit(0 if tally.is_success else 1)


@app.command()
def ask(
    question: Annotated[str, typer.Argument(help="What you want to know.")],
    collection: CollectionOption = None,
    top_k: TopK = None,
    provider: Annotated[
        str | None, typer.Option(help="Who answers: extractive, openai or aisuite, if configured.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Which of the configured models answers.")] = None,
    data_dir: DataDir = None,
    *,
    as_json: AsJson = False,
    show_sources: Annotated[
        bool, typer.Option("--show-sources", help="Print the passages with their scores as well.")
    ] = False,
) -> None:
    """Answer a question from the documents, with citations. The answer is printed while it is written."""
    from ragstone.cli.ask import run_ask

    options = _given(collection=collection, top_k=top_k, provider=provider, model=model)
    settings = _settings(data_dir=data_dir)
    _run(run_ask(settings, question, options, as_json=as_json, show_sources=show_sources))


@app.command()
def search(
    query: Annotated[str, typer.Argument(help="What to look for.")],
    collection: CollectionOption = None,
    top_k: TopK = None,
    data_dir: DataDir = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Find passages."""
    from ragstone.cli.ask import run_search

    options = _given(collection=collection, top_k=top_k)
    _run(run_search(_settings(data_dir=data_dir), query, options, as_json=as_json))


@app.command()
def mcp(
    url: Annotated[str | None, typer.Option(help="Server to ask, if not the data directory's.")] = None,
    key_file: Annotated[
        Path | None, typer.Option(dir_okay=False, exists=True, help="File with the API key for that server.")
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Speak MCP over standard input and output, for clients that start their servers themselves."""
    from ragstone.cli.mcp import run_mcp

    _run(run_mcp(_settings(data_dir=data_dir), url=_checked(url), key_file=key_file))


@app.command(name="eval")
def evaluate(
    questions: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="JSON lines: questions and what is expected.")
    ],
    collection: CollectionOption = None,
    top_k: TopK = None,
    mode: Annotated[
        Literal["hybrid", "dense", "sparse"], typer.Option(help="How passages are found.")
    ] = "hybrid",
    provider: Annotated[str | None, typer.Option(help="Who answers, if not as configured.")] = None,
    model: Annotated[str | None, typer.Option(help="Which of the configured models answers.")] = None,
    compare: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUE",
            help="Ask a second time with another mode, top_k, collection, provider, model or url, or compare with an "
            "earlier report=FILE; may be given several times.",
        ),
    ] = None,
    url: Annotated[str | None, typer.Option(help="Server to ask, if not the data directory's.")] = None,
    key_file: Annotated[
        Path | None, typer.Option(dir_okay=False, exists=True, help="File with the API key for that server.")
    ] = None,
    concurrency: Annotated[
        int, typer.Option(min=1, max=64, help="Questions at a time; times mean most with 1.")
    ] = 1,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write all of it here, for programs and later comparisons.")
    ] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write a summary in Markdown here.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write a page with plots and all questions here.")] = None,
    data_dir: DataDir = None,
) -> None:
    """Ask your own questions and measure ranking, citations, answers and time, of one configuration or of two."""
    from ragstone.cli.evaluate import Evaluation, Forms, run_evaluation
    from ragstone.cli.evaluation_options import read_change

    wanted = Evaluation(
        questions=questions,
        parameters={
            "collection": collection or "default",
            "top_k": top_k or 5,
            "mode": mode,
            **_given(provider=provider, model=model),
        },
        change=read_change(compare or []),
        forms=Forms(json_file, markdown, html),
        url=_checked(url),
        key_file=key_file,
        concurrency=concurrency,
    )
    answered = _run(run_evaluation(_settings(data_dir=data_dir), wanted))
    raise typer.Exit(0 if answered else 1)


@app.command()
def doctor(
    data_dir: DataDir = None,
    *,
    repair: Annotated[
        bool, typer.Option("--repair", help="Repair what can be repaired, then check.")
    ] = False,
) -> None:
    """Check that manifest, originals and vectors agree. Without a running server it repairs what a start would."""
    from ragstone.cli.doctor import run_doctor

    healthy = _run(run_doctor(_settings(data_dir=data_dir), repair=repair))
    raise typer.Exit(0 if healthy else 1)


@app.command()
def backup(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="A new folder, or one with an earlier backup.")
    ],
    data_dir: DataDir = None,
) -> None:
    """Copy everything into a folder, also while a server runs; the next time only what is new."""
    from ragstone.cli.backup import run_backup

    whole = _run(run_backup(_settings(data_dir=data_dir), folder))
    raise typer.Exit(0 if whole else 1)


@app.command()
def restore(
    folder: Annotated[
        Path, typer.Argument(metavar="BACKUP", help="A folder that `ragstone backup` has written.")
    ],
    data_dir: DataDir = None,
) -> None:
    """Make a data directory, which must be new or empty, from a backup, and check it."""
    from ragstone.cli.backup import run_restore

    healthy = _run(run_restore(_settings(data_dir=data_dir), folder))
    raise typer.Exit(0 if healthy else 1)


@app.command()
def migrate(
    to: Annotated[
        str, typer.Option("--to", metavar="URL", help="The Qdrant server; its key is QDRANT_API_KEY.")
    ],
    data_dir: DataDir = None,
) -> None:
    """Move the vectors of a data directory to a Qdrant server. Stopped and run again, it goes on."""
    from ragstone.cli.migrate import run_migrate

    _run(run_migrate(_settings(data_dir=data_dir, qdrant_url=to)))


@app.command(name="fake-llm")
def fake_llm(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 picks one.")] = 9009,
    fault: Annotated[
        list[str] | None,
        typer.Option(help="What goes wrong, such as status:code=429,times=2; may be given several times."),
    ] = None,
    tokens_per_second: Annotated[float, typer.Option(min=0.1, help="Pace of its answers.")] = 50.0,
    first_token_seconds: Annotated[float, typer.Option(min=0, help="Wait before the first token.")] = 0.3,
    say: Annotated[str | None, typer.Option(help="What it answers, instead of quoting its sources.")] = None,
) -> None:
    """Start a scripted model that speaks OpenAI's protocol, to see answers and failures without a real one."""
    from ragstone.cli.fake_llm import run_fake_llm

    _run(
        run_fake_llm(
            host=host,
            port=port,
            faults=fault or [],
            tokens_per_second=tokens_per_second,
            first_token_seconds=first_token_seconds,
            say=say,
        )
    )


@app.command()
def openapi() -> None:
    """Print the API's OpenAPI document."""
    from ragstone.api.main import create_app

    typer.echo(json.dumps(create_app(_settings()).openapi(), indent=2))


def _settings(**given: Any) -> Any:
    from ragstone.config.settings import load_settings

    return load_settings(**_given(**given))


def _checked(url: str | None) -> str | None:
    from ragstone.cli.evaluation_options import checked_url

    return None if url is None else checked_url(url)


def _given(**options: Any) -> dict[str, Any]:
    """What was said; the rest is left to the settings and the API."""
    return {name: value for name, value in options.items() if value is not None}


def _run(work: Coroutine[Any, Any, Any]) -> Any:
    """Defects are logged to standard error; what is expected to fail, the commands say themselves. Raises
    CommandFailed, also for what a server says or does not say."""
    import logging

    import uvloop

    from ragstone.cli.failure import CommandFailed
    from ragstone.client import CallFailed

    logging.basicConfig(level=logging.ERROR)
    try:
        return uvloop.run(work)
    except CallFailed as error:
        raise CommandFailed(str(error)) from error
