"""Draw plots as inline SVG: they need no script, print well, and follow the page's light or dark colours."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from html import escape as escape_html
from math import floor, log10

from ..output.visible import visible

WIDTH, HEIGHT = 640, 200
LEFT, RIGHT, TOP, BOTTOM = 76, 12, 14, 30


@dataclass(frozen=True)
class Line:
    """One line of a plot. A value of None has no point: the line connects the points before and after it."""

    name: str
    values: Sequence[float | None]


def lines(labels: Sequence[str], series: Sequence[Line], *, unit: str) -> str:
    """Draw lines over labels, such as percentiles over days."""
    top = _ceiling(max((v for line in series for v in line.values if v is not None), default=0.0))
    body = [_grid(top, unit), _labels(labels)]
    for number, line in enumerate(series):
        points = [(_x(i, len(labels)), _y(v, top), v) for i, v in enumerate(line.values) if v is not None]
        path = " ".join(f"{'L' if i else 'M'}{x:.1f} {y:.1f}" for i, (x, y, _) in enumerate(points))
        body.append(f'<path class="line s{number}" d="{path}"/>')
        body += [
            f'<circle class="dot s{number}" cx="{x:.1f}" cy="{y:.1f}" r="3">{_tip(line.name, v, unit)}</circle>'
            for x, y, v in points
        ]
    return _legend([line.name for line in series]) + _svg(body)


def bars(labels: Sequence[str], values: Sequence[float], *, unit: str, name: str = "") -> str:
    """Draw a bar for each label."""
    top = _ceiling(max(values, default=0.0))
    if not unit and top < 20:
        top = -(-top // 4) * 4.0  # A multiple of 4 puts the quarter grid lines at whole numbers.
    step = (WIDTH - LEFT - RIGHT) / max(len(values), 1)
    wide = min(step * 0.7, 48)
    body = [_grid(top, unit), _labels(labels)]
    for i, value in enumerate(values):
        y = _y(value, top)
        x = _x(i, len(values)) - wide / 2
        tip = _tip(f"{labels[i]} {name}".strip(), value, unit)
        height = HEIGHT - BOTTOM - y
        body.append(f'<rect class="bar" x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{height:.1f}">{tip}</rect>')
    return _svg(body)


def histogram(values: Collection[float], *, unit: str, bins: int = 24) -> str:
    """Draw a histogram; the axis ends near the 99th percentile, and the last bar includes all larger values."""
    if not values:
        return _svg([_grid(1, unit)])
    ordered = sorted(values)
    top = _ceiling(ordered[min(int(len(ordered) * 0.99), len(ordered) - 1)])
    counts = [0] * bins
    for value in values:
        counts[min(int(value / top * bins), bins - 1)] += 1
    edges = [f"{_number(top / bins * i)}{unit}" for i in range(bins)]
    return bars(edges, [float(count) for count in counts], unit="", name="and above: turns")


def escape(text: str) -> str:
    """Escape a text for an HTML element, and make its invisible characters visible."""
    return escape_html(visible(text))


def _x(i: int, count: int) -> float:
    step = (WIDTH - LEFT - RIGHT) / max(count, 1)
    return LEFT + step * (i + 0.5)


def _y(value: float, top: float) -> float:
    return TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / top)


def _ceiling(value: float) -> float:
    """Return the next larger round number, so that the grid lines are at round numbers too."""
    if value <= 0:
        return 1.0
    scale: float = 10 ** floor(log10(value))
    return next(step * scale for step in (1, 1.2, 1.6, 2, 2.4, 3.2, 4, 5, 6, 8, 10) if step * scale >= value)


def _grid(top: float, unit: str) -> str:
    rows = []
    for part in (0, 0.25, 0.5, 0.75, 1):
        y = _y(top * part, top)
        rows.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        text = f"{_number(top * part)}{unit}" if unit != "$" else f"${_number(top * part)}"
        rows.append(f'<text class="tick" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{escape(text)}</text>')
    return "".join(rows)


def _labels(labels: Sequence[str]) -> str:
    every = max(1, -(-len(labels) // 8))
    # On a phone the text is larger, and only every second label fits.
    thin = [" thin" if len(labels) > 4 and i // every % 2 else "" for i in range(len(labels))]
    return "".join(
        f'<text class="tick{thin[i]}" x="{_x(i, len(labels)):.1f}" y="{HEIGHT - 10}" text-anchor="middle">{escape(label)}</text>'
        for i, label in enumerate(labels)
        if i % every == 0
    )


def _number(value: float) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if value >= size:
            return f"{value / (1e3 if letter == 'k' else size):g}{letter}"
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"


def _tip(name: str, value: float, unit: str) -> str:
    shown = f"${value:,.4g}" if unit == "$" else f"{value:,.4g}{unit}"
    return f"<title>{escape(name)}: {escape(shown)}</title>"


def _legend(names: Sequence[str]) -> str:
    items = "".join(f'<span><i class="s{number}"></i>{escape(name)}</span>' for number, name in enumerate(names))
    return f'<div class="legend">{items}</div>'


def _svg(body: Sequence[str]) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img">{"".join(body)}</svg>'
