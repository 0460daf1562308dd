"""Mask secrets and phone numbers in all sinks. Mask transcripts too, unless LAYERCODE_CAPTURE_CONTENT is true.

Every sink passes its text to `clean`, and its exceptions to `describe`. The process's secrets are set once, at start.
"""

from __future__ import annotations

import json
import os
import re
import sys
import sysconfig
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

from ...wellformed import dump_json
from .. import context
from . import caller_secrets, patterns
from .caller_secrets import SHORTEST_SECRET

MASK = patterns.MASK
HIDDEN = "[hidden: it may quote the caller; LAYERCODE_CAPTURE_CONTENT=true shows it]"

_DIGIT = r"\b(?:zero|oh|one|two|three|four|five|six|seven|eight|nine)\b"
# A pattern can match only at the start of a run of the characters that it accepts, and a search from there ends soon.
# So matching takes linear time.
PERSONAL = {
    "e-mail address": r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+",
    "spoken e-mail address": r"(?<![\w.+-])[\w.+-]+(?: dot [\w-]+){0,8} at [\w-]+(?: dot [\w-]+){1,8}\b",
    "number": r"(?<![\w.])(?!\d{4}-\d\d-\d\d)[+\uff0b]?\(?\d(?:[\s().\u2010-\u2015\u2212-]*\d){6,}(?!\w|\.\d)",
    "spoken number": rf"{_DIGIT}(?:[\s,.-]+{_DIGIT}){{6,}}",
}
"""Patterns of personal data in exported text: e-mail addresses, and numbers of seven or more digits or number words."""

_PACKAGE = Path(__file__).parents[2]
_NOT_THEIRS = (
    *(f"{path}{os.sep}" for name, path in sysconfig.get_paths().items() if name in ("stdlib", "purelib", "platlib")),
    # A virtual environment may also use libraries of another environment, so take all library folders in `sys.path`.
    *(f"{path}{os.sep}" for path in sys.path if Path(path).name in ("site-packages", "dist-packages")),
    *(f"{path}{os.sep}" for path in _PACKAGE.iterdir() if path.is_dir() and path.name != "agents"),
    "<frozen ",
)
"""Path prefixes of library code, including this package."""


def is_library(file: str) -> bool:
    """Return whether a source file is library code or part of this package, and not the developer's own code."""
    return file.startswith(_NOT_THEIRS)


_PLAIN_NAME = re.compile(r"[a-z_.]+")
SHORTEST_LINE = 12
"""If a secret has several lines, such as a private key, each line of at least this length is also masked by itself."""
_secrets: tuple[str, ...] = ()
_capture = False


def configure(*, secrets: Iterable[str] = (), capture_content: bool = False) -> None:
    """Set the secrets of this process, and whether transcripts may be shown."""
    global _secrets, _capture
    # Sort the longest first, because a secret may be the beginning of another.
    forms = {form for text in secrets if len(text) >= SHORTEST_SECRET for form in _forms(text)}
    _secrets = tuple(sorted(forms, key=len, reverse=True))
    _capture = capture_content


def capture_content() -> bool:
    """Return whether transcripts may be shown."""
    return _capture


def secret_values(environment: Mapping[str, str]) -> list[str]:
    """Return the values of environment variables whose names end in `_KEY`, `_TOKEN` and the like."""
    endings = ("_KEY", "_TOKEN", "_SECRET", "_SECRETS", "_PASSWORD", "_DSN")
    return [value for name, value in environment.items() if name.upper().endswith(endings)]


def clean(text: str) -> str:
    """Mask secrets and phone numbers in a text."""
    return patterns.without_secrets(patterns.without_phones(_without_known(text)))


def clean_key(key: str, *, text: Callable[[str], str] = clean) -> str:
    """Mask the key of an object with `text`. A plain name, such as `session_id`, stays as it is.

    If the word "session" is a caller's password, masking it in plain names would turn `session_id` into nonsense.
    """
    return key if _PLAIN_NAME.fullmatch(key) else text(key)


def without_secrets(text: str) -> str:
    """Mask secrets, but no personal data."""
    return patterns.without_secrets(_without_known(text))


def _without_known(text: str) -> str:
    """Mask the known secrets of this process and of callers."""
    for secret in _secrets:
        if secret in text:
            text = text.replace(secret, MASK)
    for form in _all_forms(caller_secrets.known()):
        text = text.replace(form, MASK)
    return text


@lru_cache(maxsize=caller_secrets.KEPT)
def _all_forms(secrets: tuple[str, ...]) -> tuple[str, ...]:
    """Return the forms of all these secrets, the longest first, because a secret may be the beginning of another."""
    return tuple(sorted({form for secret in secrets for form in _forms(secret)}, key=len, reverse=True))


@lru_cache(maxsize=4 * caller_secrets.KEPT)
def _forms(secret: str) -> tuple[str, ...]:
    """Return the forms of a secret in a text: unchanged, escaped for JSON, Python or a URL, and each long line alone.

    The longest forms come first, because a form may be the beginning of another.
    """
    escaped = {json.dumps(secret)[1:-1], dump_json(secret).decode()[1:-1]}
    # The arguments of a tool are JSON within JSON.
    forms = {
        secret,
        repr(secret)[1:-1],
        quote(secret, safe=""),
        *escaped,
        *(json.dumps(form)[1:-1] for form in escaped),
    }
    forms |= {line for line in secret.splitlines() if len(line) >= SHORTEST_LINE}
    return tuple(sorted(forms, key=len, reverse=True))


def is_clean(text: str, usual: str = "") -> bool:
    """Return whether both texts contain no secrets and no phone numbers.

    `usual` is a text that is checked often, such as a path. The result for `usual` is cached.
    """
    return not _holds_known(f"{text}\n{usual}") and patterns.looks_clean(text) and _looks_usual(usual)


def _holds_known(text: str) -> bool:
    """Return whether a text contains a secret of this process or of a caller."""
    return any(map(text.__contains__, _secrets)) or any(map(text.__contains__, _all_forms(caller_secrets.known())))


_looks_usual = lru_cache(maxsize=1024)(patterns.looks_clean)


def hides() -> bool:
    """Return whether the messages of errors are hidden in this task or thread, because they may quote a caller."""
    return not _capture and (context.for_a_caller() or _in_unknown_thread())


def _in_unknown_thread() -> bool:
    """Return whether the current thread could be working for a caller without having the caller's context.

    `threading.Thread` and `loop.run_in_executor` do not copy the context.
    """
    return threading.current_thread() is not threading.main_thread() and not context.is_marked()


def message_of(error: BaseException) -> str:
    """Return an error's message, masked, or HIDDEN if the message may quote the caller."""
    return HIDDEN if hides() else clean(str(error))


def describe(error: BaseException, trace: TracebackType | None = None) -> str:
    """Format an error with its traceback and causes. Messages that may quote the caller are hidden."""
    if hides():
        return clean("\n".join(_frames(error, trace or error.__traceback__, set())))
    return full(error, trace)


def full(error: BaseException, trace: TracebackType | None = None) -> str:
    """Format an error for the developer's terminal: the message, and all stack frames."""
    return clean("".join(traceback.format_exception(type(error), error, trace or error.__traceback__)))


def brief(error: BaseException, trace: TracebackType | None = None) -> str:
    """Format an error for the developer's terminal: the message, and the stack frames that are not library code."""
    return clean("\n".join(_brief(error, trace or error.__traceback__, set())))


def _brief(error: BaseException, trace: TracebackType | None, seen: set[int]) -> Iterator[str]:
    seen.add(id(error))
    link = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if link is not None and id(link) not in seen:
        yield from _brief(link, link.__traceback__, seen)
    own = [frame for frame in traceback.extract_tb(trace) if not is_library(frame.filename)]
    yield from (line.rstrip("\n") for line in traceback.format_list(own))
    yield "".join(traceback.format_exception_only(error)).rstrip("\n")
    for member in error.exceptions if isinstance(error, BaseExceptionGroup) else ():
        if id(member) not in seen:
            yield from _brief(member, member.__traceback__, seen)


def _frames(error: BaseException, trace: TracebackType | None, seen: set[int]) -> Iterator[str]:
    seen.add(id(error))
    for link, words in ((error.__cause__, "caused"), (error.__context__, "came before")):
        if link is not None and id(link) not in seen and not (words == "came before" and error.__suppress_context__):
            yield from _frames(link, link.__traceback__, seen)
            yield f"\n(The error above {words} the next error:)\n"
    yield "Traceback (most recent call last):"
    yield "".join(traceback.format_tb(trace)).rstrip("\n")
    yield f"{type(error).__module__}.{type(error).__qualname__}: {HIDDEN}"
    for member in error.exceptions if isinstance(error, BaseExceptionGroup) else ():
        if id(member) not in seen:
            yield from _frames(member, member.__traceback__, seen)
