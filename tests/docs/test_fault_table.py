"""The table of failures in the documentation says what the tests check."""

import subprocess
import sys

from tests.docs.pages import DOCS, ROOT, read
from tests.faults.outcomes import ROWS


def test_the_table_is_what_the_stated_outcomes_generate() -> None:
    checked = subprocess.run(
        [sys.executable, "-m", "tools.fault_table", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr


def test_every_failure_has_a_line_of_its_own() -> None:
    page = read(DOCS / "troubleshooting.md")
    table = page.partition("<!-- generated: fault outcomes -->")[2].partition("<!-- end generated -->")[0]
    _, _, *lines = table.strip().splitlines()
    named = {tuple(line.split(" | ")[:2]) for line in lines}

    assert len(named) == len(lines) == len(ROWS)
