"""The page of a profile: pyinstrument's, which opens with the flame graph and loads nothing from anywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyinstrument import Profiler

HEAD = """<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:">
<title>Profile</title>
<script>
// How the page was looked at last is kept; at first as a flame graph, and with the frames of installed packages.
try {
  localStorage["pyinstrument:viewOptions"] ??= '{"viewMode": "timeline"}';
  localStorage["pyinstrument:viewOptionsCallStack"] ??= '{"collapseMode": "disabled"}';
} catch {}
</script>"""


def page_of(profiler: Profiler) -> str:
    """What was measured, as one page; its policy keeps a font from being asked for."""
    return profiler.output_html().replace('<meta charset="utf-8">', HEAD, 1)
