"""LlamaIndex through OpenAI's dialect, as docs/interfaces.md shows it. It needs an OpenAI SDK that is older than ours, so it
runs in an environment of its own, which `make llamaindex` makes."""

import subprocess
from pathlib import Path

import pytest

from ragstone.client import Ragstone
from tests.docs.pages import DOCS, ROOT, fences, read
from tests.servers import Server

PYTHON = ROOT / ".venv-llamaindex" / "bin" / "python"
SAID = "A parcel that nobody claims is kept for thirty days. [1]"

pytestmark = pytest.mark.skipif(not PYTHON.exists(), reason="LlamaIndex is not there: make llamaindex")


def test_the_example_answers_whole_and_streamed(server: Server, tmp_path: Path) -> None:
    (example,) = fences(read(DOCS / "interfaces.md"), "py")
    text = "A parcel that nobody claims is kept for thirty days."
    with Ragstone(server.url) as client:
        client.upload_text(text, source="llamaindex", wait=True)
    script = tmp_path / "example.py"
    script.write_text(example.replace("http://127.0.0.1:8000", server.url))

    ran = subprocess.run([PYTHON, script], capture_output=True, text=True, check=False, timeout=90)

    assert ran.stdout.splitlines() == [SAID, SAID], ran.stderr
