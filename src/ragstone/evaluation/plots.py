"""Drawings of a page: SVG of any width, since places are percentages and only heights are pixels."""

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

ROW = 16  # pixels of one series in a drawing
LEFT, RIGHT = 2.0, 98.0  # percent: room for half a mark at both ends


@dataclass(frozen=True, slots=True)
class Axis:
    """From value to place. Logarithmic axes are for values above 0."""

    low: float
    high: float
    is_logarithmic: bool = False

    def place(self, value: float) -> float:
        """Percent of the width; beyond an end it is the end."""
        low, high, at = (self._scaled(each) for each in (self.low, self.high, value))
        part = (at - low) / (high - low) if high > low else 0.5
        return LEFT + min(max(part, 0.0), 1.0) * (RIGHT - LEFT)

    def _scaled(self, value: float) -> float:
        return math.log10(max(value, 1e-3)) if self.is_logarithmic else value


@dataclass(frozen=True, slots=True)
class Span:
    """A value with its interval; `box` is the middle half where there is one."""

    low: float
    value: float
    high: float
    box: tuple[float, float] | None = None


def spans(
    axis: Axis, series: Sequence[Span | None], *, ticks: Sequence[float], says: str, first: int = 0
) -> str:
    """One line a series, from the top, the colours from the `first` on; lines at the ticks. `says` is read out instead
    of the drawing."""
    height = ROW * len(series) + 4
    parts = [f'<svg width="100%" height="{height}" role="img" aria-label="{html.escape(says)}">']
    parts += [_line(axis.place(tick), 0, axis.place(tick), height, "tick") for tick in ticks]
    for number, span in enumerate(series):
        if span is not None:
            parts += _span(axis, span, y=2 + ROW * number + ROW // 2, kind=f"s{first + number}")
    return "".join([*parts, "</svg>"])


def scale(axis: Axis, ticks: Sequence[tuple[float, str]]) -> str:
    """The numbers below drawings."""
    words = "".join(
        f'<text x="{axis.place(value):.2f}%" y="11" text-anchor="{_anchor(axis, value)}">{html.escape(text)}</text>'
        for value, text in ticks
    )
    return f'<svg width="100%" height="14" aria-hidden="true" class="scale">{words}</svg>'


def decades(low: float, high: float) -> list[float]:
    """Powers of ten that enclose both, both above 0."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    return [10.0**power for power in range(first, max(last, first + 1) + 1)]


def _span(axis: Axis, span: Span, *, y: int, kind: str) -> list[str]:
    parts = [_line(axis.place(span.low), y, axis.place(span.high), y, f"whisker {kind}")]
    if span.box is not None:
        left, right = axis.place(span.box[0]), axis.place(span.box[1])
        width = max(right - left, 0.3)
        parts.append(
            f'<rect class="box {kind}" x="{left:.2f}%" width="{width:.2f}%" y="{y - 5}" height="10" rx="2"/>'
        )
    parts.append(f'<circle class="dot {kind}" cx="{axis.place(span.value):.2f}%" cy="{y}" r="4"/>')
    return parts


def _line(x1: float, y1: int, x2: float, y2: int, kind: str) -> str:
    return f'<line class="{kind}" x1="{x1:.2f}%" y1="{y1}" x2="{x2:.2f}%" y2="{y2}"/>'


def _anchor(axis: Axis, value: float) -> str:
    place = axis.place(value)
    return "start" if place < 10 else "end" if place > 90 else "middle"
