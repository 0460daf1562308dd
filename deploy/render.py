"""Write this repository's own Dockerfile, compose file and Kubernetes manifests from the templates of new projects.

Run `python deploy/render.py` or `make deploy`. A test asserts that these files are up to date with the templates.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from layercode_app.scaffold.answers import Answers
from layercode_app.scaffold.render import File, render_templates

ROOT = Path(__file__).parent.parent
OURS = Answers(ROOT, "layercode-app", "starter", None, ("docker", "k8s", "redis"))
PLACES = {"Dockerfile": "", ".dockerignore": "", "compose.yaml": "", "k8s": "deploy/kubernetes"}
"""Maps the files and folders of a new project that this repository needs to their folders here ("": the same path)."""


def files() -> Iterator[File]:
    """Yield the rendered files, with their paths in this repository."""
    for file in render_templates(OURS, source=True):
        first, *rest = file.path.parts
        if first in PLACES:
            yield File(PurePosixPath(PLACES[first] or first, *rest), file.text)


if __name__ == "__main__":
    for made in files():
        (ROOT / made.path).write_text(made.text, encoding="utf-8")
