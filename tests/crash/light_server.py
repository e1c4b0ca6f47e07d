"""`ragstone serve` with a hashing embedder and quick flushes: what is killed often should start and settle quickly."""

import argparse
from pathlib import Path

import uvloop

from ragstone.bootstrap import build_container
from ragstone.cli.serve import serve_container
from ragstone.config.settings import load_settings
from ragstone.core.logs import configure_logging
from ragstone.services import switching
from ragstone.testing.embedders import HashingEmbedder

DIMENSION = 64
switching.FLUSH_EVERY_S = 0.05


async def main(data_dir: Path, *, dimension: int, reindex: bool) -> None:
    """Serve on a free port until SIGTERM."""
    settings = load_settings(data_dir=data_dir, port=0)
    configure_logging(level="WARNING", log_format="json")
    async with build_container(settings, embedder=HashingEmbedder(dimension), reindex=reindex) as container:
        await serve_container(settings, container)


if __name__ == "__main__":
    options = argparse.ArgumentParser()
    options.add_argument("data_dir", type=Path)
    options.add_argument("--dimension", type=int, default=DIMENSION)
    options.add_argument("--reindex", action="store_true")
    uvloop.run(main(**vars(options.parse_args())))
