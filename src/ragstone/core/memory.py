"""How much memory this process holds."""

import os
import resource
from pathlib import Path


def resident_bytes() -> int:
    """Now; where the system does not tell (not Linux), the most that it held at once."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except FileNotFoundError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return pages * os.sysconf("SC_PAGE_SIZE")
