"""The commands: parse arguments, call, print. What they do lies in the modules beside this one."""

import json
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any

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
CollectionOption = Annotated[str, typer.Option("--collection", "-c", help="Which collection.")]
TopK = Annotated[int, typer.Option("--top-k", "-k", min=1, max=100, help="How many passages to retrieve.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the API's reply as it is.")]


def main() -> None:
    """Run a command; a failure we know is one sentence and exit 1, not a trace."""
    from ragstone.cli.failure import CommandFailed
    from ragstone.core.errors import RagstoneError

    try:
        app()
    except (RagstoneError, CommandFailed) as error:
        typer.secho(f"ragstone: {error}", fg="red", err=True)
        sys.exit(1)


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
) -> None:
    """Start the API."""
    from ragstone.cli.serve import run_server

    _run(run_server(_settings(host=host, port=port, data_dir=data_dir)))


@app.command()
def ingest(
    paths: Annotated[list[Path], typer.Argument(exists=True, help="Files and folders; folders are walked.")],
    collection: CollectionOption = "default",
    data_dir: DataDir = None,
) -> None:
    """Upload files and wait until each is searchable, or known to have failed."""
    from ragstone.cli.ingest import run_ingest

    failed = _run(run_ingest(_settings(data_dir=data_dir), paths, collection))
    raise typer.Exit(1 if failed else 0)


@app.command()
def ask(
    question: Annotated[str, typer.Argument(help="What you want to know.")],
    collection: CollectionOption = "default",
    top_k: TopK = 5,
    data_dir: DataDir = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Answer a question from the documents, with citations."""
    from ragstone.cli.ask import run_ask

    body = {"query": question, "collection": collection, "top_k": top_k}
    _run(run_ask(_settings(data_dir=data_dir), body, as_json=as_json))


@app.command()
def search(
    query: Annotated[str, typer.Argument(help="What to look for.")],
    collection: CollectionOption = "default",
    top_k: TopK = 5,
    data_dir: DataDir = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Find passages."""
    from ragstone.cli.ask import run_search

    body = {"query": query, "collection": collection, "top_k": top_k}
    _run(run_search(_settings(data_dir=data_dir), body, as_json=as_json))


@app.command()
def doctor(data_dir: DataDir = None) -> None:
    """Check that manifest, originals and vectors agree; repairs nothing that a start would not."""
    from ragstone.cli.doctor import run_doctor

    healthy = _run(run_doctor(_settings(data_dir=data_dir)))
    raise typer.Exit(0 if healthy else 1)


@app.command()
def openapi() -> None:
    """Print the API's OpenAPI document."""
    from ragstone.api.main import create_app

    typer.echo(json.dumps(create_app(_settings()).openapi(), indent=2))


def _settings(**given: Any) -> Any:
    from ragstone.config.settings import load_settings

    return load_settings(**{name: value for name, value in given.items() if value is not None})


def _run(work: Coroutine[Any, Any, Any]) -> Any:
    import uvloop

    return uvloop.run(work)
