"""Charts as shapes on a grid, for a template to draw as SVG. Knows no model, no address and no colour."""

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 560.0, 190.0
LEFT, RIGHT, TOP, BOTTOM = 44.0, 8.0, 10.0, 24.0
GAP = 0.28
"""Of a column's share of the width: what stays free between it and the next."""
THINNEST = 1.5
"""What is there is seen, however little it is beside the rest."""
TICKS = 4
LABELS_AT_MOST = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """`tone` is what it means: `good`, `bad`, `warn`, `calm`, `violet` or `dim`; `values` has one for each label."""

    name: str
    tone: str
    values: Sequence[int]

    @property
    def total(self) -> int:
        return sum(self.values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    x: float
    y: float
    width: float
    height: float
    tone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One label's shapes, lowest first; `told` is what hovering over it says."""

    label: str
    told: str
    x: float
    middle: float
    width: float
    shapes: Sequence[Shape]
    labelled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """A chart of stacked columns, and the same as rows of a table: (label, values of each series)."""

    series: Sequence[Series]
    columns: Sequence[Column]
    ticks: Sequence[tuple[float, str]]
    """(y, what stands there)."""
    rows: Sequence[tuple[str, Sequence[int]]]

    width, height, left, right = WIDTH, HEIGHT, LEFT, WIDTH - RIGHT
    floor = HEIGHT - BOTTOM

    @property
    def is_empty(self) -> bool:
        return not any(series.total for series in self.series)

    @property
    def summary(self) -> str:
        """What a screen reader says instead of the picture."""
        told = ", ".join(f"{series.name} {series.total:,}" for series in self.series)
        return f"{told}, from {self.columns[0].label} to {self.columns[-1].label}." if self.columns else told


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of a chart of bars; `shapes` are on a width of 100."""

    label: str
    total: int
    shapes: Sequence[Shape]
    values: Sequence[int]
    link: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bars:
    series: Sequence[Series]
    rows: Sequence[Row]

    @property
    def is_empty(self) -> bool:
        return not any(series.total for series in self.series)


def columns(labels: Sequence[str], series: Sequence[Series]) -> Columns:
    top = _round_up(max((sum(values) for values in _stacks(labels, series)), default=0))
    share = (WIDTH - LEFT - RIGHT) / max(len(labels), 1)
    every = -(-len(labels) // LABELS_AT_MOST)
    drawn = []
    for number, (label, stack) in enumerate(zip(labels, _stacks(labels, series), strict=True)):
        x = LEFT + share * number
        shapes, floor = [], HEIGHT - BOTTOM
        for one, value in zip(series, stack, strict=True):
            if value:
                height = max((HEIGHT - TOP - BOTTOM) * value / top, THINNEST)
                floor -= height
                shapes.append(
                    Shape(
                        x=round(x + share * GAP / 2, 2),
                        y=round(floor, 2),
                        width=round(share * (1 - GAP), 2),
                        height=round(height, 2),
                        tone=one.tone,
                    )
                )
        told = ", ".join(f"{one.name} {value:,}" for one, value in zip(series, stack, strict=True))
        drawn.append(
            Column(
                label=label,
                told=f"{label}: {told}",
                x=round(x, 2),
                middle=round(x + share / 2, 2),
                width=round(share, 2),
                shapes=shapes,
                # Counted from the last, which is today.
                labelled=(len(labels) - 1 - number) % every == 0,
            )
        )
    steps = [top * step // TICKS for step in range(TICKS + 1)] if top >= TICKS else list(range(top + 1))
    return Columns(
        series=series,
        columns=drawn,
        ticks=[
            (round(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * step / top, 2), short(step)) for step in steps
        ],
        rows=[(label, stack) for label, stack in zip(labels, _stacks(labels, series), strict=True)],
    )


def bars(
    labels: Sequence[str],
    series: Sequence[Series],
    *,
    links: Sequence[str] = (),
    notes: Sequence[str] = (),
) -> Bars:
    stacks = _stacks(labels, series)
    longest = max((sum(stack) for stack in stacks), default=0) or 1
    rows = []
    for number, (label, stack) in enumerate(zip(labels, stacks, strict=True)):
        shapes, x = [], 0.0
        for one, value in zip(series, stack, strict=True):
            if value:
                width = max(100 * value / longest, THINNEST / 2)
                shapes.append(
                    Shape(x=round(x, 2), y=0, width=round(min(width, 100 - x), 2), height=8, tone=one.tone)
                )
                x += width
        rows.append(
            Row(
                label=label,
                total=sum(stack),
                shapes=shapes,
                values=stack,
                link=links[number] if links else "",
                note=notes[number] if notes else "",
            )
        )
    return Bars(series=series, rows=rows)


def _stacks(labels: Sequence[str], series: Sequence[Series]) -> list[list[int]]:
    return [[one.values[number] for one in series] for number in range(len(labels))]


def _round_up(value: int) -> int:
    """The next number whose quarters are read at a glance."""
    if value <= TICKS:
        return max(value, 1)
    step = 10 ** (len(str(value)) - 1)
    return next(
        (
            fits
            for times in (1, 1.2, 1.6, 2, 2.4, 3.2, 4, 6, 8, 10)
            if (fits := int(step * times)) >= value and fits % TICKS == 0
        ),
        -(-value // TICKS) * TICKS,
    )


def short(number: int) -> str:
    """`1,200` as 1.2k: an axis has room for four signs."""
    for size, sign in ((1_000_000, "M"), (1_000, "k")):
        if number >= size:
            return f"{number / size:.3g}{sign}"
    return str(number)
