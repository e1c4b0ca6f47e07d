"""A real nginx in front of a server, with the location that the documentation shows and Debian's other settings."""

import asyncio
import os
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.docs.pages import DOCS, fences, read

BINARY = shutil.which("nginx", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin")
DOCUMENTED = "http://127.0.0.1:8000"
START_S = 10.0

_CONFIGURATION = """
{user}
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
  access_log off;
  sendfile on;
  tcp_nopush on;
  gzip on;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port};
    {location}
  }}
}}
"""


def location_for(url: str) -> str:
    """The documented location, which passes everything on to this server."""
    (location,) = [
        block for block in fences(read(DOCS / "deployment.md"), "nginx") if block.startswith("location")
    ]
    assert location.count(DOCUMENTED) == 1
    return location.replace(DOCUMENTED, url)


@asynccontextmanager
async def nginx_before(url: str, folder: Path) -> AsyncIterator[str]:
    """Its address, for as long as the block runs."""
    assert BINARY is not None
    port = free_port()
    text = _CONFIGURATION.format(
        user="user root root;" if os.geteuid() == 0 else "",
        folder=folder,
        port=port,
        location=location_for(url),
    )
    (folder / "nginx.conf").write_text(text)
    process = await asyncio.create_subprocess_exec(
        BINARY, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")
    )
    try:
        await _until_it_listens(process, port, folder)
        yield f"http://127.0.0.1:{port}"
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


def free_port() -> int:
    """One of loopback that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


async def _until_it_listens(process: asyncio.subprocess.Process, port: int, folder: Path) -> None:
    async with asyncio.timeout(START_S):
        while True:
            assert process.returncode is None, (folder / "error.log").read_text()
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionError:
                await asyncio.sleep(0.02)
                continue
            writer.close()
            await writer.wait_closed()
            return
