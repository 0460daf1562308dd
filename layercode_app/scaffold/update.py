"""Plan and apply the update of a project that an earlier release created.

A file that the user did not change is replaced. A file that the user changed is merged with the new one, if the
project's git history has the generated file and the changes do not conflict. Otherwise it stays, and the new file is
written as `NAME.new`. A file that the user deleted is not created again.
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
from .vendored_wheel import FOLDER, PATTERN, Wheel, same

Action = Literal["add", "change", "merge", "beside", "remove", "keep"]


@dataclass(frozen=True)
class Step:
    """A step of an update: what it does with the file `path`, and `why`.

    `text` is the file's new text. `before` is the old text for a diff, usually the file's present text.

    The action `keep` changes nothing. The action `remove` deletes the file; `text` and `binary` are both None. The
    action `beside` writes a new version next to a file that the user changed: `path` is the path of the new version,
    and `before` is the text of the user's file.
    """

    action: Action
    path: str
    before: str | None = None
    text: str | None = None
    why: str = ""
    binary: bytes | None = None
    """The new content of a binary file; None for a text file."""

    @property
    def content(self) -> bytes | None:
        """The bytes to write to the disk; None deletes the file."""
        return self.text.encode() if self.binary is None and self.text is not None else self.binary


def plan(folder: Path, kept: Kept, files: list[File]) -> list[Step]:
    """Return the steps of an update, sorted by path. `files` are the files that this version generates.

    Unchanged files have no step.
    """
    without_digest = (*OWN, ANSWERS_FILE)
    texts = {
        str(file.path): file.text for file in files if str(file.path) not in without_digest and file.binary is None
    }
    found = (_step(folder, kept, path, texts.get(path)) for path in texts.keys() | kept.files.keys())
    steps = [step for step in found if step is not None]
    return sorted([*steps, *_own(folder, files), *_wheels(folder, kept, files)], key=lambda step: step.path)


def _step(folder: Path, kept: Kept, path: str, new: str | None) -> Step | None:
    made, now = kept.files.get(path), _read(folder, path)
    if now is None:
        return _absent(path, made, new)
    if new is None:
        if digest(now) == made:
            return Step("remove", path, now)
        return Step("keep", path, why="no longer generated; you changed it, so it stays")
    if now == new:
        return None
    if digest(now) == made:
        return Step("change", path, now, new)
    if digest(new) == made:  # the user changed it, and this version has nothing new for it
        return None
    return _changed_by_both(folder, kept, path, now, new)


def _absent(path: str, made: str | None, new: str | None) -> Step | None:
    if new is None or digest(new) == made:
        return None
    return (
        Step("add", path, None, new)
        if made is None
        else Step("keep", path, why="you deleted it, so it is not created again")
    )


def _changed_by_both(folder: Path, kept: Kept, path: str, now: str, new: str) -> Step | None:
    made = kept.files.get(path)
    base = kept.merge_from.get(path, made)
    began = made_text(folder, path, base) if base is not None else None
    merged = merge(began, now, new) if began is not None else None
    if merged is not None:
        return Step("merge", path, now, merged, "your changes and the new ones") if merged != now else None
    beside = next(name for name in _names_beside(path) if _is_free(_read(folder, name), made, new))
    return Step("beside", beside, now, new, f"you changed {path}; merge this new version by hand")


def _is_free(there: str | None, made: str | None, new: str) -> bool:
    """Return whether the file NAME.new may be written: it does not exist, or the user did not change it.

    `there` is the present text of NAME.new, or None if NAME.new does not exist. `new` is the text to write, and `made`
    is the digest of the text that an earlier version of this package generated for NAME, or None if there was no such
    text. NAME.new counts as unchanged if its present text equals `new` or has the digest `made`.
    """
    return there is None or there == new or digest(there) == made


def _names_beside(path: str) -> Iterator[str]:
    yield f"{path}.new"
    yield from (f"{path}.new{number}" for number in count(2))


def _own(folder: Path, files: list[File]) -> Iterator[Step]:
    """Yield the steps that create missing folders, and the step that adds, changes or removes LOCAL_FILE."""
    for file in files:
        path = str(file.path)
        if file.path.name == ".gitkeep" and not (folder / file.path.parent).exists():
            yield Step("add", path, None, file.text)
    local, now = next((file.text for file in files if str(file.path) == LOCAL_FILE), None), _read(folder, LOCAL_FILE)
    if local != now:
        yield Step("add" if now is None else "change" if local is not None else "remove", LOCAL_FILE, now, local)


def _wheels(folder: Path, kept: Kept, files: list[File]) -> Iterator[Step]:
    """Yield steps that replace the previous version's wheel, or remove it if the project no longer needs a wheel."""
    wheel = next((Wheel(file.path.name, file.binary) for file in files if file.binary is not None), None)
    there = {path.name for path in (folder / FOLDER).glob(PATTERN)}
    for name in sorted(there) if kept.answers.vendor else ():
        if wheel is None or name != wheel.name:
            yield Step("remove", f"{FOLDER}/{name}")
    if wheel is not None and not same(folder / wheel.path, wheel):
        yield Step("change" if wheel.name in there else "add", str(wheel.path), binary=wheel.content)


def _read(folder: Path, path: str) -> str | None:
    """Return the text of a file, or None if it does not exist.

    For a link, a file outside the project, or a file that cannot be read as text, return a text that no generated file
    has. So the update treats it as a file that the user changed.
    """
    whole = folder / path
    if not whole.exists() and not whole.is_symlink():
        return None
    inside = whole.resolve().is_relative_to(folder.resolve()) and not whole.is_symlink()
    try:
        return whole.read_text(encoding="utf-8") if inside else "\0"
    except (OSError, UnicodeDecodeError):
        return "\0"


def outcome(kept: Kept, now: Kept, steps: list[Step]) -> Kept:
    """Return the new answers file of an updated project.

    `kept` is the answers file before the update. `now` is the answers file of a new project of this version.
    """
    done = {re.sub(r"\.new\d*$", "", step.path): step.action for step in steps}
    began: dict[str, str] = {}
    for path in now.files:
        made = kept.merge_from.get(path) or (kept.files.get(path) if path in done else None)
        if made is not None and done.get(path, "keep") in ("merge", "beside", "keep"):
            began[path] = made
    return now.model_copy(update={"merge_from": began})


def apply(folder: Path, steps: list[Step], kept: Kept) -> None:
    """Apply the steps, and write the answers file last. If a file cannot be written, restore all files.

    Raises ConfigurationError naming the file and the reason.
    """
    doing = [step for step in steps if step.action != "keep"]
    contents = {step.path: step.content for step in doing} | {ANSWERS_FILE: kept.to_json().encode()}
    before = {path: (folder / path).read_bytes() if (folder / path).is_file() else None for path in contents}
    try:
        for path, content in contents.items():
            _put(folder / path, content)
    except OSError as error:
        _restore(folder, before)
        raise ConfigurationError(
            f"{error.filename or folder} cannot be written: {error.strerror}. The project was not changed."
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
