"""The page of a profile: pyinstrument's, which opens with the flame graph and loads nothing from anywhere."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..output.pages import embedded, sealed

if TYPE_CHECKING:
    from pyinstrument import Profiler

HEAD = """<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Profile</title>
<script>
// How the page was looked at last is kept; at first as a flame graph, and with the frames of installed packages.
try {
  localStorage["pyinstrument:viewOptions"] ??= '{"viewMode": "timeline"}';
  localStorage["pyinstrument:viewOptionsCallStack"] ??= '{"collapseMode": "disabled"}';
} catch {}
</script>"""


MORE = "style-src-attr 'unsafe-inline'; img-src data:"
"""The flame graph colours its frames by attributes of style."""
_DATA = re.compile(r"(?<=const sessionData = ).*(?=;\n)")


def page_of(profiler: Profiler) -> str:
    """What was measured, as one page; its policy keeps a font from being asked for."""
    page = _DATA.sub(lambda found: embedded(found[0]), profiler.output_html(), count=1)
    return sealed(page.replace('<meta charset="utf-8">', HEAD, 1), more=MORE)
