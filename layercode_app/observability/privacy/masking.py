"""Mask secrets and phone numbers in all sinks. Mask transcripts too, unless LAYERCODE_CAPTURE_CONTENT is true.

Every sink passes its text to `clean`, and its exceptions to `describe`. The process's secrets are set once, at start.
"""

from __future__ import annotations

import os
import re
import sys
import sysconfig
import traceback
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from types import TracebackType

from .. import context
from . import caller_secrets
from .caller_secrets import SECRET_NAMES, SHORTEST_SECRET

MASK = "[redacted]"
HIDDEN = "[hidden: it may quote the caller; LAYERCODE_CAPTURE_CONTENT=true shows it]"
_NAMES = "|".join(SECRET_NAMES)

_PHONE = re.compile(r"(\+\d)[\d \-().]{6,}(\d\d)")
_LOCAL_PHONE = re.compile(r"\(?\d{3}\)?[-. ]\d{3}[-. ]\d{4}(?!\d)")
_LOCAL_PHONE_END = re.compile(r"\d[-. ]\d{4}(?!\d)")
"""The end of a phone number. Searching a line for it is twenty times faster than for a whole number."""
_PHONE_END = re.compile(r"[-. ][0-9]{4}(?![0-9])")
"""The end of a phone number in ASCII text. The first character is rare in ids, so a search in ids is fast."""
_JSON_VALUE = re.compile(rf'((?:{_NAMES})\\*"\s*:\s*\\*")[^"\\]+', re.IGNORECASE)
_ASSIGNED = re.compile(
    rf"((?:{_NAMES})\s*=\s*['\"]?)[^\s'\"&,;\\]*[^\W_][^\s'\"&,;)\\]*",
    re.IGNORECASE,
)
"""Matches `token=VALUE` and the like. The value has a letter or a digit, and does not include a closing bracket."""
_BEARER = re.compile(r"(bearer\s+)[\w.~+/=-]+", re.IGNORECASE)
_SIGNATURE = re.compile(r"(v1=)[0-9a-fA-F]{16,}")
_PROVIDER_KEY = re.compile(r"\b(?:sk|pk|rk|xox[abp]|gh[pousr]|pylf_v\d)[-_][\w-]{12,}")
_URL_USER = re.compile(r"(://)[^/\s@\"']+@")

_DIGIT = r"\b(?:zero|oh|one|two|three|four|five|six|seven|eight|nine)\b"
# Each pattern matches only at the start of a run of its characters, and ends soon, so matching takes linear time.
PERSONAL = {
    "e-mail address": r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+",
    "spoken e-mail address": r"(?<![\w.+-])[\w.+-]+(?: dot [\w-]+){0,8} at [\w-]+(?: dot [\w-]+){1,8}\b",
    "number": r"(?<![\w.])(?!\d{4}-\d\d-\d\d)\+?\(?\d(?:[\s().-]*\d){6,}(?!\w|\.\d)",
    "spoken number": rf"{_DIGIT}(?:[\s,.-]+{_DIGIT}){{6,}}",
}
"""Patterns of personal data in exported text: e-mail addresses, and numbers of seven or more digits."""

_PACKAGE = Path(__file__).parents[2]
_NOT_THEIRS = (
    *(f"{path}{os.sep}" for name, path in sysconfig.get_paths().items() if name in ("stdlib", "purelib", "platlib")),
    # A virtual environment may use libraries of another environment.
    *(f"{path}{os.sep}" for path in sys.path if Path(path).name in ("site-packages", "dist-packages")),
    *(f"{path}{os.sep}" for path in _PACKAGE.iterdir() if path.is_dir() and path.name != "agents"),
    "<frozen ",
)
"""Path prefixes of library code, including this package."""


def is_library(file: str) -> bool:
    """Return whether a source file is library code or part of this package, and not the developer's own code."""
    return file.startswith(_NOT_THEIRS)


_secrets: tuple[str, ...] = ()
_capture = False


def configure(*, secrets: Iterable[str] = (), capture_content: bool = False) -> None:
    """Set the secrets of this process, and whether transcripts may be shown."""
    global _secrets, _capture
    # Longest first, because a secret may be the beginning of another.
    _secrets = tuple(sorted({text for text in secrets if len(text) >= SHORTEST_SECRET}, key=len, reverse=True))
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
    return _clean_forms(_without_known(text))


def _clean_forms(text: str) -> str:
    """Mask texts that look like a phone number or a secret."""
    # A quick check before each pattern makes clean lines cheap.
    if "+" in text:
        text = _PHONE.sub(r"\1…\2", text)
    if _LOCAL_PHONE_END.search(text):
        text = _LOCAL_PHONE.sub("[phone]", text)
    return _clean_known_forms(text, text.lower())


def without_secrets(text: str) -> str:
    """Mask secrets, but no personal data."""
    text = _without_known(text)
    return _clean_known_forms(text, text.lower())


def _without_known(text: str) -> str:
    """Mask the known secrets of this process and of callers."""
    for secret in _secrets:
        if secret in text:
            text = text.replace(secret, MASK)
    for secret in caller_secrets.known():
        text = text.replace(secret, MASK)
    return text


def is_clean(text: str, usual: str = "") -> bool:
    """Return whether both texts contain no secrets and no phone numbers.

    `usual` is a text that is checked often, such as a path. The result for `usual` is cached.
    """
    return not _holds_known(f"{text}\n{usual}") and _looks_clean(text) and _looks_usual(usual)


def _holds_known(text: str) -> bool:
    """Return whether a text contains a secret of this process or of a caller."""
    return any(map(text.__contains__, (*_secrets, *caller_secrets.known())))


def _looks_clean(text: str) -> bool:
    # Most texts, such as ordinary ids, pass these quick checks and need no full search.
    if not text.isascii() or (_PHONE_END.search(text) and _LOCAL_PHONE.search(text)):
        return _clean_forms(text) == text
    return not any(map(text.__contains__, _SIGNS)) or _clean_forms(text) == text


_looks_usual = lru_cache(maxsize=1024)(_looks_clean)


def _clean_known_forms(text: str, lowered: str) -> str:
    for word in SECRET_NAMES:
        if word in lowered and any(word + ending in lowered for ending in _ENDINGS):
            text = _ASSIGNED.sub(rf"\1{MASK}", _JSON_VALUE.sub(rf"\1{MASK}", text))
            break
    for hint, pattern, by in _FORMS:
        if hint in lowered:
            text = pattern.sub(by, text)
    return text


_ENDINGS = ('"', '\\"', "=", " =")
_FORMS = (
    ("@", _URL_USER, rf"\1{MASK}@"),
    ("v1=", _SIGNATURE, rf"\1{MASK}"),
    ("bearer ", _BEARER, rf"\1{MASK}"),
    *((hint, _PROVIDER_KEY, MASK) for hint in ("sk-", "pk-", "rk-", "sk_", "pk_", "rk_", "xox", "gh", "pylf_")),
)
"""Each row: a lower-case text to search first, the pattern to replace if that text is found, and the replacement."""
_SIGNS = ("+", '"', "=", "@", " ", "k-", "k_", "xox", "gh", "pylf_")
"""All texts that are masked contain one of these signs, except some phone numbers; see `_PHONE_END`."""


def hides() -> bool:
    """Return whether the messages of errors are hidden in this task, because they may quote a caller."""
    return not _capture and context.for_a_caller()


def message_of(error: BaseException) -> str:
    """Return an error's message, masked, or HIDDEN if the message may quote the caller."""
    return HIDDEN if hides() else clean(str(error))


def describe(error: BaseException, trace: TracebackType | None = None) -> str:
    """Format an error with its traceback and causes. Messages that may quote the caller are hidden."""
    if hides():
        return clean("\n".join(_frames(error, trace or error.__traceback__, set())))
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
