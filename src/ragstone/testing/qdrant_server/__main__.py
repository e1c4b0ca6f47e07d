"""`python -m ragstone.testing.qdrant_server FOLDER [PORT]`: a stand-in in a process of its own. Its first line of output
is its URL; it ends with SIGTERM."""

import asyncio
import signal
import sys
from pathlib import Path

from ragstone.testing.qdrant_server import QdrantServer


async def _serve(folder: Path, port: int) -> None:
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    async with QdrantServer(folder, port=port) as server:
        sys.stdout.write(f"{server.url}\n")
        sys.stdout.flush()
        await stopped.wait()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0))
