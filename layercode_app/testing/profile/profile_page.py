"""Render a profile as pyinstrument's HTML page: it opens with the flame graph and loads no other resource."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ...output.pages import embedded, sealed

if TYPE_CHECKING:
    from pyinstrument import Profiler

HEAD = """<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Profile</title>
<script>
// The browser remembers the view. Begin with the flame graph, and with the frames of installed packages shown.
try {
  localStorage["pyinstrument:viewOptions"] ??= '{"viewMode": "timeline"}';
  localStorage["pyinstrument:viewOptionsCallStack"] ??= '{"collapseMode": "disabled"}';
} catch {}
</script>"""


MORE = "style-src-attr 'unsafe-inline'; img-src data:"
"""Rules added to the content security policy, because the flame graph colours its frames with `style` attributes."""
_DATA = re.compile(r"(?<=const sessionData = ).*(?=;\n)")


def page_of(profiler: Profiler) -> str:
    """Return the profile as one page; its content security policy blocks the download of a font."""
    page = _DATA.sub(lambda found: embedded(found[0]), profiler.output_html(), count=1)
    return sealed(page.replace('<meta charset="utf-8">', HEAD, 1), more=MORE)
