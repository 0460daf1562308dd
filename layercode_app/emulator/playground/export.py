"""Export a recorded call as one HTML file that works offline, with personal details masked."""

from __future__ import annotations

import html
import re
import time
from collections.abc import Sequence
from pathlib import Path

from ..._version import __version__
from ...journal.record import Json, TurnRecord
from ...journal.record_json import from_json, to_json
from ...observability.privacy.masked_export import masked_turns, redact
from ...output.colors import colors
from ...output.pages import embedded, sealed
from ...output.visible import json_text, visible
from .figures import conversation_row, whole

STATIC = Path(__file__).parent / "static"
MODULES = ("dom", "format", "waterfall", "failure", "details", "transcript", "inspector", "export")
"""The scripts of the exported page, in dependency order."""
STYLES = ("base", "talk", "turn", "export")

_IMPORT = re.compile(r"^import .*?;\n", re.MULTILINE)
_EXPORT = re.compile(r"^export ", re.MULTILINE)
_ICON = re.compile(r'url\("\.\./icon\.svg"\)')


def export_page(turns: Sequence[TurnRecord], *, redacted: bool = True) -> str:
    """Return an HTML page of a conversation. `turns` are oldest first; `redacted` masks secrets and personal data."""
    call: Json = from_json(to_json(conversation_row(turns) | {"turns": [whole(turn) for turn in turns]}))
    if redacted:
        call |= {"title": redact(call["title"]), "turns": masked_turns(call["turns"])}
    # Add this after the masking, because the masking could mistake the time for a telephone number.
    call["exported"] = {"at": time.time(), "version": __version__, "masked": redacted}
    title = html.escape(visible(f"Call with {call['agent']}"))
    return sealed(_PAGE.format(title=title, style=_style(), script=_script(), call=embedded(json_text(call))))


def _script() -> str:
    sources = [(STATIC / "js" / f"{name}.js").read_text(encoding="utf-8") for name in MODULES]
    code = "\n".join(_EXPORT.sub("", _IMPORT.sub("", source)) for source in sources)
    return f"{code}\nshowExport(JSON.parse(byId('call').textContent));"


def _style() -> str:
    styles = "\n".join((STATIC / "css" / f"{name}.css").read_text(encoding="utf-8") for name in STYLES)
    return colors() + _ICON.sub("none", styles)


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
{style}
</style>
</head>
<body class="exported">
<header class="top"><span class="brand">{title}</span><div class="top-call" id="top-call"></div></header>
<main class="panes">
<section class="pane talk" aria-label="Conversation"><div class="scroll" id="transcript-scroll"></div></section>
<aside class="pane turn" id="turn" aria-label="Selected turn"></aside>
</main>
<script type="application/json" id="call">{call}</script>
<script type="module">
{script}
</script>
</body>
</html>
"""
