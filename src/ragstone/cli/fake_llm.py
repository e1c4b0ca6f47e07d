"""`fake-llm`: the scripted upstream in a terminal, to try how Ragstone takes a model's failures."""

import asyncio
import os
import signal
from collections.abc import Sequence

import typer

from ragstone.cli.failure import CommandFailed
from ragstone.testing.upstream import Fault, RecordedRequest, ScriptedUpstream
from ragstone.testing.upstream.wire import CHAT_MODEL


async def run_fake_llm(
    *,
    host: str,
    port: int,
    faults: Sequence[str],
    tokens_per_second: float,
    first_token_seconds: float,
    say: str | None,
) -> None:
    """Serve until SIGINT or SIGTERM, with a line for each request. Raises CommandFailed."""
    upstream = ScriptedUpstream(
        host=host,
        port=port,
        tokens_per_s=tokens_per_second,
        first_token_s=first_token_seconds,
        say=say,
        on_end=_print_request,
    )
    upstream.script(*_parse(faults))
    stopping = _on_signals()
    try:
        await upstream.start()
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
        raise CommandFailed(
            f"{host} port {port} cannot be listened on: {reason}; choose another --port"
        ) from error
    try:
        _print_greeting(upstream)
        await stopping.wait()
    finally:
        await upstream.stop()


def _parse(specs: Sequence[str]) -> list[Fault]:
    try:
        return [Fault.parse(spec) for spec in specs]
    except ValueError as error:
        raise CommandFailed(str(error)) from error


def _on_signals() -> asyncio.Event:
    """Set when the user or the system wants an end."""
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    return stopping


def _print_greeting(upstream: ScriptedUpstream) -> None:
    typer.echo(f"A scripted model listens on {upstream.base_url}. Point Ragstone at it with")
    typer.echo(
        f"  OPENAI_BASE_URL={upstream.base_url} OPENAI_API_KEY=any OPENAI_MODEL={CHAT_MODEL} ragstone serve"
    )
    typer.echo("or, so that each request runs into a fault, with")
    typer.echo(f"  OPENAI_BASE_URL={upstream.root_url}/fault/hang_mid:after=5/v1")
    typer.echo(f"What was asked: GET {upstream.root_url}/_log. Ctrl-C ends it.")


def _print_request(request: RecordedRequest) -> None:
    fault = f" ({request.fault})" if request.fault else ""
    seconds = (request.ended or request.started) - request.started
    typer.echo(f"{request.method} {request.path} {request.outcome}{fault} {seconds:.2f} s")
