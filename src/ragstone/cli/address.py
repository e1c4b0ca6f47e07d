"""The address that the server listens on: held first, listened on once there is somebody to answer."""

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from ragstone.config.settings import Settings
from ragstone.core.errors import StartupError
from ragstone.core.logs import tell

ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - where such a server is reached from here
BACKLOG = 2048  # connections that may wait to be accepted, as uvicorn has it


def bind(settings: Settings) -> socket.socket:
    """A socket that holds the address; connections are refused until somebody listens. Raises StartupError."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    try:
        with _refused_in_a_sentence(settings):
            bound.bind((settings.host, settings.port))
    except StartupError:
        bound.close()
        raise
    return bound


def adopt(descriptor: int) -> socket.socket:
    """The socket that the process which started this one has bound."""
    return socket.socket(fileno=descriptor)


def listen(bound: socket.socket, settings: Settings) -> None:
    """Accept connections from now on; here, since uvicorn would end the process with a log line. Raises
    StartupError."""
    with _refused_in_a_sentence(settings):
        bound.listen(BACKLOG)


def url_of(bound: socket.socket) -> str:
    """As a client on this machine calls it."""
    address, port = bound.getsockname()[:2]
    host = ANYWHERE.get(address, address)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextmanager
def _refused_in_a_sentence(settings: Settings) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise StartupError(
            f"{settings.host} port {settings.port} cannot be listened on: {reason}; choose another --port"
        ) from error


def greet(url: str, receivers: str) -> None:
    """That the server listens, and who else gets text: a sentence on a terminal, a line in a log."""
    if sys.stderr.isatty():
        typer.echo(f"Ragstone listens on {url} (documentation: {url}/docs). {receivers}", err=True)
    else:
        tell("listening", url=url, documentation=f"{url}/docs", receivers=receivers)
