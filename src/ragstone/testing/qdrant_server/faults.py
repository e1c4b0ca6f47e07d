"""What can go wrong with a vector store on another machine, and whom it befalls."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

Kind = Literal["late", "hang", "reset", "reset_after", "cut", "status", "garbled"]
"""`late`: the answer comes after `seconds`. `hang`: it never comes, nothing is done. `reset`: the connection is broken
and nothing is done; `reset_after`: it is broken when all is done. `cut`: done, but the answer ends in its middle.
`status`: refused with `code`. `garbled`: an answer that is no JSON."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Befalls requests whose path ends with `path`, each `every`-th of them, `times` times (0 = all)."""

    kind: Kind
    path: str = ""
    times: int = 1
    every: int = 1
    seconds: float = 2.0
    code: int = 500

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "Fault":
        """From JSON. Raises ValueError for a name that is not one of its fields."""
        unknown = values.keys() - {each.name for each in fields(cls)}
        if unknown:
            raise ValueError(f"unknown {', '.join(sorted(unknown))}")
        return cls(**values)


class FaultList:
    """The faults that wait, each with how many requests it has seen and befallen."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Fault, list[int]]] = []

    def replace(self, faults: Iterable[Fault]) -> None:
        """These instead of all others."""
        self._waiting = [(fault, [0, 0]) for fault in faults]

    def take(self, path: str) -> Fault | None:
        """What befalls a request to this path; None if all is well."""
        for fault, counts in self._waiting:
            if not path.endswith(fault.path) or (fault.times and counts[1] >= fault.times):
                continue
            counts[0] += 1
            if counts[0] % fault.every == 0:
                counts[1] += 1
                return fault
        return None
