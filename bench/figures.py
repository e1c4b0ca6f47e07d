"""One row of `make bench`: what the floor did, what Ragstone did, and what it should."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from bench.report import Table

COLUMNS = ("figure", "bare", "Ragstone", "ratio", "target", "")


@dataclass(frozen=True, slots=True)
class Figure:
    """Values in the unit that the name says; `ratio` is Ragstone's value over the floor's, or over
    what the name says. `is_met` None
    where nothing was promised."""

    name: str
    ragstone: float
    bare: float | None = None
    ratio: float | None = None
    target: str = ""
    is_met: bool | None = None

    def cells(self) -> list[str]:
        """As the table shows it."""
        return [
            self.name,
            _number(self.bare),
            _number(self.ragstone),
            _number(self.ratio),
            self.target,
            {True: "met", False: "NOT MET", None: ""}[self.is_met],
        ]


def at_most(name: str, ragstone: float, limit: float, *, unit: str) -> Figure:
    """An absolute figure with an upper bound."""
    return Figure(f"{name}, {unit}", ragstone, target=f"≤ {limit:g}", is_met=ragstone <= limit)


def against_bare(
    name: str,
    ragstone: Sequence[float],
    bare: Sequence[float],
    *,
    at_most: float | None = None,
    at_least: float | None = None,
) -> Figure:
    """Medians over rounds; the ratio is the median of the rounds' ratios, so that what hits a whole round cancels."""
    ratio = median(ours / floor for ours, floor in zip(ragstone, bare, strict=True))
    target, is_met = "", None
    if at_most is not None:
        target, is_met = f"≤ {at_most:g} ×", ratio <= at_most
    if at_least is not None:
        target, is_met = f"≥ {at_least:g} ×", ratio >= at_least
    return Figure(name, median(ragstone), median(bare), ratio, target, is_met)


def table(title: str, figures: Sequence[Figure], notes: Sequence[str] = ()) -> Table:
    """The rows under their heading."""
    return Table(title, COLUMNS, [figure.cells() for figure in figures], notes)


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2f}"
