"""The table of OpenAI's parameters in the documentation is the one that requests are sorted by."""

import subprocess
import sys

from tests.docs.pages import ROOT


def test_the_table_is_what_the_parameters_generate() -> None:
    checked = subprocess.run(
        [sys.executable, "-m", "tools.parameter_table", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr
