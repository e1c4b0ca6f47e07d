"""Whether the server stays alive to those who ask: liveness, readiness and the event loop while a 50 MB PDF is ingested
and a hundred answers are streamed."""

import asyncio
import re
import time

from bench.answer_stream import open_streams
from bench.bombs import upload
from bench.figures import Figure, at_most
from bench.load import Connection, connected
from bench.stream_servers import Servers

STREAMS, PDF_BYTES = 100, 50_000_000
MOST_LIVE_MS, MOST_LAG_S = 50.0, 0.2
PAUSE_S = 0.01
_LAG = re.compile(rb"^ragstone_event_loop_lag_seconds(?:\{[^}]*\})? (\S+)$", re.M)


async def measure(servers: Servers) -> list[Figure]:
    """The model streams 20 tokens a second, 100 of them."""
    await servers.set_pace(tokens=100, first_token_s=0.2, tokens_per_s=20.0)
    pdf = await asyncio.to_thread(_pdf)
    port = servers.ragstone.port
    async with connected(port) as connection, connected(port) as uploading:
        status, content = await uploading.exchange(upload(port, pdf, "large.pdf"))
        assert status == 202, content
        asking = asyncio.create_task(_ask(servers))
        times_ms, own_lag_s, not_ready = [], 0.0, 0
        while not asking.done():
            start = time.perf_counter()
            await connection.call("GET", "/health/live")
            times_ms.append((time.perf_counter() - start) * 1_000)
            ready, _ = await connection.exchange(connection.request("GET", "/health/ready"))
            not_ready += ready != 200
            due = time.perf_counter() + PAUSE_S
            await asyncio.sleep(PAUSE_S)
            own_lag_s = max(own_lag_s, time.perf_counter() - due)
        lag_s = await _loop_lag_s(connection)
    p99_ms = sorted(times_ms)[int(len(times_ms) * 0.99)]
    return [
        at_most("/health/live, p99", p99_ms, MOST_LIVE_MS, unit="ms"),
        at_most("the event loop's lateness, the worst", lag_s, MOST_LAG_S, unit="s"),
        Figure("the same of the bench's own loop, which does next to nothing, s", own_lag_s),
        Figure("/health/ready said no, times", not_ready, target="0", is_met=not_ready == 0),
        Figure(
            f"streams of {STREAMS} that were not whole", await asking, target="0", is_met=not asking.result()
        ),
    ]


async def _ask(servers: Servers) -> int:
    """How many answers were not whole."""
    requests = servers.requests(servers.ragstone)
    streams = await open_streams(servers.ragstone.port, STREAMS)
    for number, stream in enumerate(streams):
        stream.ask(requests[number % len(requests)])
    async with asyncio.timeout(120):
        await asyncio.gather(*(stream.ended for stream in streams))
    return sum(not stream.is_whole for stream in streams)


async def _loop_lag_s(connection: Connection) -> float:
    _, content = await connection.exchange(connection.request("GET", "/metrics"))
    found = _LAG.search(content)
    assert found is not None
    return float(found[1])


def _pdf() -> bytes:
    """Pages of text, uncompressed, so that all 50 MB are read."""
    line = b"(The pump at station %d is inspected every %d days by the crew of shift %d.) Tj T*\n"
    lines = b"".join(line % (row, row % 90, row % 7) for row in range(50))
    page = b"BT /F1 9 Tf 40 800 Td 11 TL\n" + lines + b"ET\n"
    count = PDF_BYTES // len(page)
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    kids = []
    for number in range(count):
        stream = page.replace(b"station 1 ", b"station %d " % number)
        objects.append(b"<< /Length %d >>\nstream\n%bendstream" % (len(stream), stream))
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents %d 0 R"
            b" /Resources << /Font << /F1 3 0 R >> >> >>" % len(objects)
        )
        kids.append(b"%d 0 R" % len(objects))
    objects[1] = b"<< /Type /Pages /Kids [%b] /Count %d >>" % (b" ".join(kids), count)
    return _file(objects)


def _file(objects: list[bytes]) -> bytes:
    parts, places, length = [b"%PDF-1.7\n"], [], 9
    for number, content in enumerate(objects, start=1):
        places.append(length)
        parts.append(b"%d 0 obj\n%b\nendobj\n" % (number, content))
        length += len(parts[-1])
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    parts.append(b"xref\n0 %d\n0000000000 65535 f \n%b" % (len(objects) + 1, table))
    parts.append(
        b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, length)
    )
    return b"".join(parts)
