"""One recorded call as one HTML file: no server, no network, nothing installed; personal details masked."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from pathlib import Path

import orjson

from ...conversation.record import Json, TurnRecord
from ...wellformed import dump_json, load_json
from .figures import conversation_row, whole
from .masking import masked_turns, redact

STATIC = Path(__file__).parent / "static"
MODULES = ("dom", "format", "waterfall", "details", "transcript", "inspector", "export")
"""What the exported page needs, in the order in which it needs it."""
STYLES = ("base", "talk", "turn", "export")

_IMPORT = re.compile(r"^import .*?;\n", re.MULTILINE)
_EXPORT = re.compile(r"^export ", re.MULTILINE)
_ICON = re.compile(r'url\("\.\./icon\.svg"\)')


def export_page(turns: Sequence[TurnRecord], *, redacted: bool = True) -> str:
    """The page of one conversation, its turns oldest first. `redacted` masks secrets, phone numbers and addresses."""
    row = conversation_row(turns) | {"turns": [whole(turn) for turn in turns]}
    call: Json = load_json(dump_json(row, option=orjson.OPT_NON_STR_KEYS))
    if redacted:
        call |= {"title": redact(call["title"]), "turns": masked_turns(call["turns"])}
    title = html.escape(f"Call with {call['agent']}")
    return _PAGE.format(title=title, style=_style(), script=_script(), call=_embedded(call))


def _script() -> str:
    sources = [(STATIC / "js" / f"{name}.js").read_text(encoding="utf-8") for name in MODULES]
    code = "\n".join(_EXPORT.sub("", _IMPORT.sub("", source)) for source in sources)
    return f"{code}\nshowExport(JSON.parse(byId('call').textContent));"


def _style() -> str:
    styles = "\n".join((STATIC / "css" / f"{name}.css").read_text(encoding="utf-8") for name in STYLES)
    return _ICON.sub("none", styles)


def _embedded(call: Json) -> str:
    """JSON that cannot end the element it stands in."""
    return orjson.dumps(call).decode().replace("<", "\\u003c")


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
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
