"""Whether others feel it when office documents that grow without end are read: liveness meanwhile, and memory."""

import asyncio
import io
import random
import tempfile
import time
import zipfile
from pathlib import Path

from bench.figures import Figure, at_most
from bench.load import Connection, connected
from bench.server import Server, ready_ragstone

BOMBS = 8
MOST_MS, MOST_S, MOST_GROWN_MB = 50.0, 5.0, 50.0
PAUSE_S, POLL_S = 0.005, 0.05
NOISE_BYTES, ZERO_BYTES = (
    4_500_000,
    500_000_000,
)  # the noise earns the zeros that much room: 100 times its size


async def measure() -> list[Figure]:
    """One bomb after the other; liveness is asked every few milliseconds."""
    with tempfile.TemporaryDirectory(prefix="ragstone-bench-") as folder:
        async with ready_ragstone(Path(folder)) as server, connected(server.port) as connection:
            bomb = await asyncio.to_thread(_bomb)
            await _read_bombs(server, bomb, count=1)  # from now on there is a worker
            before_mb = server.pss_mb()
            reading = asyncio.create_task(_read_bombs(server, bomb, count=BOMBS))
            times_ms = []
            while not reading.done():
                times_ms.append(await _live_ms(connection))
                await asyncio.sleep(PAUSE_S)
            slowest_s, grown_mb = await reading, server.pss_mb() - before_mb
    p99 = sorted(times_ms)[int(len(times_ms) * 0.99)]
    return [
        at_most("/health/live while bombs are read, p99", p99, MOST_MS, unit="ms"),
        at_most("a bomb from its upload to its refusal, the slowest", slowest_s, MOST_S, unit="s"),
        at_most("memory (PSS) of all processes after them, over before", grown_mb, MOST_GROWN_MB, unit="MB"),
    ]


async def _live_ms(connection: Connection) -> float:
    start = time.perf_counter()
    await connection.call("GET", "/health/live")
    return (time.perf_counter() - start) * 1_000


async def _read_bombs(server: Server, bomb: bytes, *, count: int) -> float:
    """Seconds that the slowest took."""
    times_s = []
    async with connected(server.port) as connection:
        for number in range(count):
            start = time.perf_counter()
            status, content = await connection.exchange(upload(server.port, bomb + bytes([count, number])))
            assert status == 202, content
            await _until_refused(connection)
            times_s.append(time.perf_counter() - start)
    return max(times_s)


async def _until_refused(connection: Connection) -> None:
    while True:
        documents = (await connection.call("GET", "/documents?limit=1&sort=-created_at"))["items"]
        if documents[0]["status"] == "failed":
            assert documents[0]["error"]["code"] == "unsafe_archive", documents[0]["error"]
            return
        await asyncio.sleep(POLL_S)


def _bomb() -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "")
        archive.writestr(
            "word/document.xml", ""
        )  # an archive would be refused by the sizes that it announces
        archive.writestr("noise", random.Random(7).randbytes(NOISE_BYTES))
        with archive.open("zeros", "w") as member:
            for _ in range(ZERO_BYTES // 10**6):
                member.write(bytes(10**6))
    return target.getvalue()


def upload(port: int, content: bytes, filename: str = "a.docx") -> bytes:
    """A whole request that uploads one file."""
    body = (
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="%b"\r\n\r\n' % filename.encode()
        + content
        + b"\r\n--x--\r\n"
    )
    head = (
        f"POST /documents HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: {len(body)}\r\n"
        "Content-Type: multipart/form-data; boundary=x\r\n\r\n"
    )
    return head.encode() + body
