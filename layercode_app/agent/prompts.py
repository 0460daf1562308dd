"""Load prompts from the `prompts` folder next to an agent file."""

from __future__ import annotations

import inspect
from pathlib import Path

from ..exceptions import DeveloperError

SUFFIXES = (".md", ".txt")
_loaded: set[str] = set()


def load_prompt(name: str) -> str:
    """Return the text of `prompts/<name>.md` (or `.txt`) in the folder of the calling file.

    Raises DeveloperError, which names the files that were tried, if none of them exists.
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
    """Return whether `load_prompt` has returned this text."""
    return text in _loaded
