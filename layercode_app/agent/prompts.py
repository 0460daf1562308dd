"""Prompts in files beside the agents that use them."""

from __future__ import annotations

import inspect
from pathlib import Path

from ..exceptions import DeveloperError

SUFFIXES = (".md", ".txt")
_loaded: set[str] = set()


def load_prompt(name: str) -> str:
    """The text of `prompts/<name>.md` (or `.txt`) beside the file that calls this.

    Raises DeveloperError naming the files it looked for.
    """
    frame = inspect.currentframe()
    caller = frame.f_back if frame else None
    folder = Path(caller.f_code.co_filename if caller else ".").resolve().parent / "prompts"
    tried = [folder / f"{name}{suffix}" for suffix in SUFFIXES]
    for path in tried:
        if path.is_file():
            text = path.read_text(encoding="utf-8").strip()
            _loaded.add(text)
            return text
    raise DeveloperError(f"Prompt {name!r}: no such file. Looked for {' and '.join(map(str, tried))}.")


def was_loaded(text: str) -> bool:
    """Whether `load_prompt` gave this text to somebody."""
    return text in _loaded
