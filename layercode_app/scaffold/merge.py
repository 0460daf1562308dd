"""Merge the user's version of a file with the newly generated one, using git."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from .git import output
from .kept import digest


def made_text(folder: Path, path: str, made: str) -> str | None:
    """Search a file's git history for the text whose digest is `made`. Return None if it is not there."""
    listed = output(folder, "log", "--all", "--format=", "--raw", "--no-abbrev", "--no-renames", "--", path)
    blobs = [line.split()[3] for line in reversed((listed or "").splitlines()) if line.startswith(":")]
    texts = (output(folder, "cat-file", "blob", blob) for blob in dict.fromkeys(blobs) if blob.strip("0"))
    return next((text for text in texts if text is not None and digest(text) == made), None)


def merge(base: str, ours: str, theirs: str) -> str | None:
    """Return a text with the changes of both versions; None if they conflict or git is missing."""
    with TemporaryDirectory() as place:
        for name, text in (("ours", ours), ("base", base), ("theirs", theirs)):
            (Path(place) / name).write_text(text, encoding="utf-8")
        return output(Path(place), "merge-file", "--stdout", "--quiet", "ours", "base", "theirs")
