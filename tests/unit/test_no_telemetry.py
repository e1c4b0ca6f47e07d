"""The encoder's runtime must not report to its maker."""

import os
import subprocess
import sys
from pathlib import Path

LOAD = "from ragstone.embeddings.minilm import MiniLMEmbedder; MiniLMEmbedder()"


def test_loading_the_encoder_leaves_nothing_in_the_home_folder(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("ORT_", "XDG_"))}

    subprocess.run([sys.executable, "-c", LOAD], env={**environment, "HOME": str(tmp_path)}, check=True)

    assert list(tmp_path.rglob("*")) == []
