"""Draw the results as one SVG with bar charts and line charts.

The lines show how the time to first speech changes with the number of callers; the bars show all other figures.

Colour-blind people can distinguish the colours (the palette of Okabe and Ito). Lines also have different markers.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from math import floor, log10

from . import echo, memory, startup, ttfs
from .results import Result

WIDTH, HEIGHT, PAD = 960, 916, 24
BARS_TOP, BAR_HIGH, BAR_STEP, NAMES_WIDE = 84, 16, 24, 168
LINES_TOP, LINES_HIGH, LINES_STEP = 424, 180, 246
STYLE = {
    "bare": ("#666666", "circle"),
    "older": ("#d55e00", "square"),
    "fastapi": ("#e69f00", "triangle"),
    "hono": ("#009e73", "diamond"),
    "ours": ("#0072b2", "circle"),
}
CSS = (
    "text{font:13px system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif;fill:#222}"
    ".title{font-weight:600}.small{font-size:11px;fill:#555}.value{font-size:12px}.end{text-anchor:end}"
    ".mid{text-anchor:middle}.grid{stroke:#ddd}.line{fill:none;stroke-width:2}.ours{font-weight:600}"
)
Bars = list[tuple[str, float | None, str]]


def plot(results: Sequence[Result]) -> str:
    """Return the SVG with all panels."""
    shown = [result for result in results if not result.not_run]
    half = (WIDTH - 3 * PAD) / 2
    left, right = PAD, 2 * PAD + half
    body = [f'<text x="{PAD}" y="34" class="title" style="font-size:17px">LayerCode backends, side by side</text>']
    body.append(f'<text x="{PAD}" y="54" class="small">Medians; one core each; the same model for all</text>')
    second = BARS_TOP + len(shown) * BAR_STEP + 34
    body += _bars(left, BARS_TOP, half, "Conformance checks passed (more is better)", _checks(shown))
    body += _bars(
        right, BARS_TOP, half, "Echo turns per second (more is better)", _of(shown, echo.MEASURE, "per_second", ",.0f")
    )
    body += _bars(left, second, half, "KB per open stream (less is better)", _of(shown, memory.MEASURE, "kb", ".0f"))
    body += _bars(
        right,
        second,
        half,
        "Seconds from start to first 200 (less is better)",
        _of(shown, startup.MEASURE, "seconds", ".2f"),
    )
    for x, arrivals in zip((left, right), ttfs.ARRIVALS, strict=True):
        for number, which in enumerate(("p50", "p99")):
            title = f"First speech in ms, {which}, arrivals {arrivals} (less is better)"
            body += _lines((x, LINES_TOP + number * LINES_STEP), half, title, (arrivals, f"ttfs_{which}"), shown)
    body += _legend(shown)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'role="img" aria-label="LayerCode backends, side by side"><style>{CSS}</style>'
        f'<rect width="{WIDTH}" height="{HEIGHT}" rx="8" fill="#fff"/>{"".join(body)}</svg>\n'
    )


def _checks(shown: Sequence[Result]) -> Bars:
    return [
        (r.peer.key, float(r.checks["passed"]), f"{r.checks['passed']} of {r.checks['of']}") if r.checks
        else (r.peer.key, None, "failed" if r.failed.get("check") else "-")
        for r in shown
    ]  # fmt: skip


def _of(shown: Sequence[Result], measure: str, figure: str, form: str) -> Bars:
    values = [(r, r.median(measure, figure)) for r in shown]
    return [
        (r.peer.key, v, format(v, form) if v is not None else "failed" if measure in r.failed else "-")
        for r, v in values
    ]


def _name(key: str) -> str:
    names = {"bare": "bare ASGI", "older": "0.2.0 (the older tool)", "fastapi": "FastAPI, the guide's",
             "hono": "Hono with Node's SDK", "ours": "layercode-app"}  # fmt: skip
    return names[key]


def _bars(x: float, y: float, wide: float, title: str, bars: Bars) -> list[str]:
    top = max((value for _, value, _ in bars if value is not None), default=1.0) or 1.0
    out = [f'<text x="{x:.0f}" y="{y}" class="title">{escape(title)}</text>']
    for number, (key, value, label) in enumerate(bars):
        at = y + 12 + number * BAR_STEP
        long = (wide - NAMES_WIDE - 64) * max(value or 0.0, 0.0) / top
        ours = " ours" if key == "ours" else ""
        out.append(
            f'<text x="{x + NAMES_WIDE - 8:.0f}" y="{at + 12.5}" class="value end{ours}">{escape(_name(key))}</text>'
        )
        out.append(
            f'<rect x="{x + NAMES_WIDE:.0f}" y="{at}" width="{max(long, 1):.1f}" height="{BAR_HIGH}" fill="{STYLE[key][0]}"/>'
        )
        out.append(
            f'<text x="{x + NAMES_WIDE + long + 6:.1f}" y="{at + 12.5}" class="value{ours}">{escape(label)}</text>'
        )
    return out


def _lines(
    corner: tuple[float, float], wide: float, title: str, what: tuple[str, str], shown: Sequence[Result]
) -> list[str]:
    x, y0 = corner
    series = {r.peer.key: [r.median(ttfs.name(n, what[0]), what[1]) for n in ttfs.TURNS] for r in shown}
    values = [value for line in series.values() for value in line if value]
    least, most = (floor(log10(min(values))), log10(max(values)) + 0.05) if values else (0, 1)
    bottom, left = y0 + LINES_HIGH, x + 40

    def place(number: int, value: float) -> tuple[float, float]:
        step = (wide - 70) / (len(ttfs.TURNS) - 1)
        return left + 10 + step * number, bottom - LINES_HIGH * (log10(value) - least) / (most - least)

    out = [f'<text x="{x:.0f}" y="{y0 - 14}" class="title">{escape(title)}</text>']
    for value in (m * 10**e for e in range(int(least), int(most) + 1) for m in (1, 2, 5)):
        if log10(value) <= most:
            y = place(0, value)[1]
            out.append(f'<path class="grid" d="M{left:.0f} {y:.1f}H{x + wide:.0f}"/>')
            out.append(f'<text x="{left - 6:.0f}" y="{y + 4:.1f}" class="small end">{value:g}</text>')
    for number, callers in enumerate(ttfs.TURNS):
        text = f"{callers} caller{'s' if callers > 1 else ''}"
        out.append(f'<text x="{place(number, 10**least)[0]:.0f}" y="{bottom + 18}" class="small mid">{text}</text>')
    for key, line in series.items():
        points = [place(number, value) for number, value in enumerate(line) if value]
        path = " ".join(f"{'L' if n else 'M'}{px:.1f} {py:.1f}" for n, (px, py) in enumerate(points))
        out.append(f'<path class="line" stroke="{STYLE[key][0]}" d="{path}"/>' if path else "")
        out += [_marker(key, px, py) for px, py in points]
    return out


def _marker(key: str, x: float, y: float) -> str:
    colour, shape = STYLE[key]
    if shape == "circle":
        fill = "#fff" if key == "bare" else colour
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{fill}" stroke="{colour}" stroke-width="2"/>'
    corners = {"square": "-4 -4 4 -4 4 4 -4 4", "triangle": "0 -5.5 5 4 -5 4", "diamond": "0 -5.5 5.5 0 0 5.5 -5.5 0"}
    return f'<polygon points="{corners[shape]}" transform="translate({x:.1f} {y:.1f})" fill="{colour}"/>'


def _legend(shown: Sequence[Result]) -> list[str]:
    out, x = [], PAD + 12.0
    for result in shown:
        key = result.peer.key
        out.append(f'<path class="line" stroke="{STYLE[key][0]}" d="M{x - 12} {HEIGHT - 22}h24"/>')
        out.append(_marker(key, x, HEIGHT - 22))
        out.append(f'<text x="{x + 18}" y="{HEIGHT - 18}" class="value">{escape(_name(key))}</text>')
        x += 56 + 7.2 * len(_name(key))
    return out
