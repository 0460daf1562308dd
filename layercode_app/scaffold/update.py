"""What a release would change in a project that an earlier one made, and doing it.

A file that is still as it was made is replaced. One that its owner changed is merged with what the release makes of it,
if the project's git history has it as it was made and the changes do not meet; otherwise it stays, and what the release
makes of it is written beside it as `NAME.new`. What the owner took away stays away.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Literal

from ..exceptions import ConfigurationError
from .kept import ANSWERS_FILE, Kept, digest
from .merge import made_text, merge
from .render import LOCAL_FILE, OWN, File

Action = Literal["add", "change", "merge", "beside", "remove", "keep"]


@dataclass(frozen=True)
class Step:
    """One file of an update. `text` is what comes to be at `path`; None takes it away, or lets it be for `keep`."""

    action: Action
    path: str
    before: str | None = None
    text: str | None = None
    why: str = ""


def plan(folder: Path, kept: Kept, files: list[File]) -> list[Step]:
    """What an update does, sorted by path; `files` are those that this version makes. A file that stays has no step."""
    texts = {str(file.path): file.text for file in files if str(file.path) not in (*OWN, ANSWERS_FILE)}
    found = (_step(folder, kept, path, texts.get(path)) for path in texts.keys() | kept.files.keys())
    steps = [step for step in found if step is not None]
    return sorted([*steps, *_own(folder, files)], key=lambda step: step.path)


def _step(folder: Path, kept: Kept, path: str, new: str | None) -> Step | None:
    made, now = kept.files.get(path), _read(folder, path)
    if now is None:
        return _absent(path, made, new)
    if new is None:
        if digest(now) == made:
            return Step("remove", path, now)
        return Step("keep", path, why="no longer made; you changed it, so it stays")
    if now == new:
        return None
    if digest(now) == made:
        return Step("change", path, now, new)
    if digest(new) == made:  # it went its own way, and there is nothing new for it
        return None
    return _changed_by_both(folder, kept, path, now, new)


def _absent(path: str, made: str | None, new: str | None) -> Step | None:
    if new is None or digest(new) == made:
        return None
    return (
        Step("add", path, None, new) if made is None else Step("keep", path, why="you took it away, so it stays away")
    )


def _changed_by_both(folder: Path, kept: Kept, path: str, now: str, new: str) -> Step | None:
    made = kept.files.get(path)
    base = kept.merge_from.get(path, made)
    began = made_text(folder, path, base) if base is not None else None
    merged = merge(began, now, new) if began is not None else None
    if merged is not None:
        return Step("merge", path, now, merged, "your changes and the new ones") if merged != now else None
    beside = next(name for name in _names_beside(path) if _is_free(_read(folder, name), made, new))
    return Step("beside", beside, now, new, f"{path} is yours: take over from it what you want")


def _is_free(there: str | None, made: str | None, new: str) -> bool:
    """Whether it may be written: there is nothing, or only what was put beside before and left as it was."""
    return there is None or there == new or digest(there) == made


def _names_beside(path: str) -> Iterator[str]:
    yield f"{path}.new"
    yield from (f"{path}.new{number}" for number in count(2))


def _own(folder: Path, files: list[File]) -> Iterator[Step]:
    """Files that have no digest: a missing folder is made, and where this package is on this machine is brought up to date."""
    for file in files:
        path = str(file.path)
        if file.path.name == ".gitkeep" and not (folder / file.path.parent).exists():
            yield Step("add", path, None, file.text)
    local, now = next((file.text for file in files if str(file.path) == LOCAL_FILE), None), _read(folder, LOCAL_FILE)
    if local != now:
        yield Step("add" if now is None else "change" if local is not None else "remove", LOCAL_FILE, now, local)


def _read(folder: Path, path: str) -> str | None:
    """The text of a file, None where there is nothing; what is not a text file of the project is one that differs."""
    whole = folder / path
    if not whole.exists() and not whole.is_symlink():
        return None
    inside = whole.resolve().is_relative_to(folder.resolve()) and not whole.is_symlink()
    try:
        return whole.read_text(encoding="utf-8") if inside else "\0"
    except (OSError, UnicodeDecodeError):
        return "\0"


def outcome(kept: Kept, now: Kept, steps: list[Step]) -> Kept:
    """The answers file after the update: `now` is the one of a project that is made now."""
    done = {re.sub(r"\.new\d*$", "", step.path): step.action for step in steps}
    began: dict[str, str] = {}
    for path in now.files:
        made = kept.merge_from.get(path) or (kept.files.get(path) if path in done else None)
        if made is not None and done.get(path, "keep") in ("merge", "beside", "keep"):
            began[path] = made
    return now.model_copy(update={"merge_from": began})


def apply(folder: Path, steps: list[Step], kept: Kept) -> None:
    """Do it, the answers file last; where a file cannot be written, those before it are as they were.

    Raises ConfigurationError naming the file and the reason.
    """
    doing = [step for step in steps if step.action != "keep"]
    texts: dict[str, str | None] = {step.path: step.text for step in doing} | {ANSWERS_FILE: kept.to_json()}
    before = {path: (folder / path).read_bytes() if (folder / path).is_file() else None for path in texts}
    try:
        for path, text in texts.items():
            _put(folder / path, None if text is None else text.encode())
    except OSError as error:
        _restore(folder, before)
        raise ConfigurationError(
            f"{error.filename or folder} cannot be written: {error.strerror}. The project is as it was."
        ) from error


def _restore(folder: Path, before: Mapping[str, bytes | None]) -> None:
    for path, content in before.items():
        if (folder / path).is_file() or content is not None:
            _put(folder / path, content)


def _put(path: Path, content: bytes | None) -> None:
    if content is None:
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
