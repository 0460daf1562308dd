"""Build the site; the exit code is 1 if a page has a warning, a broken link or a resource from another host."""

from __future__ import annotations

import sys
from pathlib import Path

from .build import ROOT, build

if __name__ == "__main__":
    found = build(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build/site")
    sys.stdout.writelines(f"{line}\n" for line in found)
    sys.exit(f"{len(found)} faults in the site" if found else 0)
