"""How far the vectors of a data directory were moved to a server: a file of its own, which no backup carries, so that no
two directories ever go on in the same collection."""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from ragstone.core.files import write_durably

MOVE_FILE = "move.json"


@dataclass(frozen=True, slots=True)
class Move:
    """One that was begun: where to, under which prefix, and the id at which the next page begins."""

    url: str
    prefix: str
    after: str | None = None


def read_move(data_dir: Path) -> Move | None:
    """None where none was interrupted."""
    try:
        return Move(**json.loads((data_dir / MOVE_FILE).read_text()))
    except FileNotFoundError:
        return None


def write_move(data_dir: Path, move: Move) -> None:
    """Durably."""
    write_durably(data_dir / MOVE_FILE, json.dumps(asdict(move)).encode())


def end_move(data_dir: Path) -> None:
    """All is switched; idempotent."""
    (data_dir / MOVE_FILE).unlink(missing_ok=True)


def begin_move_anew(data_dir: Path) -> None:
    """The directory serves again, so what was copied until now may change."""
    begun = read_move(data_dir)
    if begun is not None and begun.after is not None:
        write_move(data_dir, replace(begun, after=None))
