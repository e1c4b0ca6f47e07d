"""`ragstone ingest` as its user runs it, stopped in the middle, against a real server."""

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from ragstone.client import Ragstone
from tests.servers import Server, clean_environment
from tests.waiting import PATIENCE_S

COMMAND = (sys.executable, "-m", "ragstone.cli", "ingest")
FILES = 40
SENTENCES = " ".join(f"Sentence {number} is about nothing in particular." for number in range(40))


@pytest.fixture
def client(server: Server) -> Iterator[Ragstone]:
    with Ragstone(server.url) as opened:
        yield opened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files that keep the encoder busy for seconds."""
    for number in range(FILES):
        (tmp_path / f"{number}.txt").write_text(f"File {number}. {SENTENCES}")
    return tmp_path


def started(server: Server, folder: Path, collection: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, str(folder), "--json", "-c", collection, "--data-dir", str(server.data_dir)],
        cwd=folder,
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=_listen_to_ctrl_c,
    )


def _listen_to_ctrl_c() -> None:
    """A shell ignores it in what it starts in the background, and its children inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def wait_for_the_first(client: Ragstone, collection: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not client.documents.list(collection=collection).page().items:
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize(("stop", "status"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_stopped_in_the_middle_and_run_again_it_goes_on(
    server: Server, client: Ragstone, folder: Path, stop: signal.Signals, status: int
) -> None:
    collection = f"stopped-{stop.name.lower()}"
    client.collections.create(collection)
    first = started(server, folder, collection)
    wait_for_the_first(client, collection)
    first.send_signal(stop)
    told, _ = first.communicate(timeout=PATIENCE_S)

    again, _ = (going_on := started(server, folder, collection)).communicate(timeout=PATIENCE_S)

    assert (first.returncode, going_on.returncode) == (status, 0)
    assert not told or json.loads(told)["stopped"] == "interrupted"
    assert json.loads(again)["searchable"] == FILES
    listed = client.documents.list(collection=collection, page_size=30)
    found = Counter((document.status, document.version) for document in listed)
    assert found == {("ready", 1): FILES}
