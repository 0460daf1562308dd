"""Mask secrets and personal data in an exported call. They are found by field name or by pattern.

A reply is recorded several times, each time in pieces: as frames, runs of speech, heard and unheard text, and parts of
the model's messages. A number may be split between pieces, so the joined text is masked and then split again.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import count, pairwise, takewhile
from typing import Any, TypeAlias

from ...journal.record import TTS, Json
from ...wellformed import dump_json, load_json
from . import caller_secrets
from .caller_secrets import is_secret_name
from .masking import MASK, PERSONAL, clean, clean_key

Known: TypeAlias = Mapping[str, str]
"""Maps the heard part of a reply to its masked form.

The heard part may end within a number, and no pattern finds half a number.
"""

_PERSONAL = re.compile("|".join(PERSONAL.values()), re.IGNORECASE)
_NAME_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")
_TIMES = frozenset((
    "time", "times", "timestamp", "timestamps", "date", "dates", "datetime", "updated", "created", "duration", "timeout",
    "lifetime", "uptime", "expires", "at", "ms", "s",
))  # fmt: skip
"""If the name of a field contains one of these words, its number is a time and not, for example, a phone number."""
_TOKENS = frozenset(("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens"))
"""Names of the token counts that a model reports. Such a count is neither a secret nor a phone number."""
MARKS = (MASK, "[phone]", "\u2026")
"""Each masked word contains one of these texts."""
MOST_COMPARED = 8
"""Maximum number of words after a mask that are searched for in the original text, to find where it continues."""
_WORD = re.compile(r"\s*\S+|\s+$")
_IDS = (
    "conversation_id",
    "turn_id",
    "session_id",
    "trace_id",
    "span_id",
    "fingerprint",
    "tool_call_id",
    "run_id",
    "resumes",
    "position",
    "history_start",
)
_OURS = frozenset((*_IDS, "timestamp", "timings", "usage"))
"""Fields of a record that never quote the caller. In data of agents and tools, fields with these names are masked."""


def masked_turns(turns: Sequence[Json]) -> list[Json]:
    """Return the masked records of a conversation. `turns` are the records as JSON."""
    with caller_secrets.only(turn["metadata"] for turn in turns):
        known = {" ".join(turn["heard"].split()): _heard(turn) for turn in turns if turn["heard_text"]}
        return [_turn(turn, known) for turn in turns]


def masked_rows(rows: Sequence[Json]) -> list[Json]:
    """Return the masked rows that `sessions export` writes. Each row holds the whole record in its field `record`."""
    masked = []
    for row, record in zip(rows, masked_turns([row["record"] for row in rows]), strict=True):
        words = {"agent_said": record["spoken_text"], "heard": record["heard"], "unheard": record["cut"]}
        masked.append(_own(row, {}, inside=("record",)) | words | {"record": record})
    return masked


def redact(value: Json, known: Known | None = None, *, name: str = "") -> Json:
    """Return a JSON value with secrets and personal data masked. `name` is the name of its field, if it has one."""
    return _redact(name, value, known or {})


def _redact(name: str, value: Any, known: Known) -> Json:
    if _is_private(name, value):
        return MASK
    if isinstance(value, dict):
        masked: dict[str, Json] = {}
        numbers: dict[str, int] = {}
        for key, item in value.items():
            masked[_key(str(key), masked, numbers)] = _redact(str(key), item, known)
        return masked
    if isinstance(value, list):
        return [_redact(name, item, known) for item in value]
    if isinstance(value, str):
        return known.get(" ".join(value.split())) or _text(value, known)
    return MASK if _is_number(value) and name not in _TOKENS and not _is_time(name) else value


def _is_private(name: str, value: Any) -> bool:
    """Return whether the name of a field suggests that it holds a secret, a phone number or an e-mail address."""
    if value in (None, "", [], {}) or isinstance(value, bool):
        return False
    lowered = name.lower()
    if "phone" in lowered or "email" in lowered:
        return True
    # A field with a plural name may count tokens: `input_tokens` as a number, `tokens` as an object of such numbers.
    counts = isinstance(value, int | float) and lowered.endswith("s")
    return is_secret_name(name) and not counts and not _are_tokens(value)


def _are_tokens(value: Any) -> bool:
    return isinstance(value, dict) and _TOKENS.issuperset(value) and all(type(item) is int for item in value.values())


def _key(key: str, taken: Collection[str], numbers: dict[str, int]) -> str:
    """Return a key with its personal data masked. If the masked key equals one of the `taken` keys, append a number.

    `taken` holds the masked keys of the same object so far. `numbers` holds the last number that was appended to each
    masked key.
    """
    # A plain name stays as it is, even if it contains a caller's password.
    masked = clean_key(_PERSONAL.sub(MASK, key))
    if masked == key or masked not in taken:
        return masked
    free = (number for number in count(numbers.get(masked, 1) + 1) if f"{masked} {number}" not in taken)
    numbers[masked] = next(free)
    return f"{masked} {numbers[masked]}"


def _is_number(value: Any) -> bool:
    """Return whether a value looks like a phone, card or account number: a whole number of 10 to 19 digits."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return isinstance(value, int) and 10 <= len(str(abs(value))) <= 19


def _is_time(name: str) -> bool:
    return not _TIMES.isdisjoint(map(str.lower, _NAME_WORD.findall(name)))


def _text(text: str, known: Known) -> str:
    """Mask a text. A JSON object, such as the arguments of a tool call, stays valid JSON."""
    if text.startswith("{"):
        with suppress(ValueError):
            return dump_json(redact(load_json(text), known)).decode()
    return _mask(text)


def _mask(text: str) -> str:
    return clean(_PERSONAL.sub(MASK, text))


# --- a record: its fields, and texts that are pieces of longer texts


def _turn(turn: Json, known: Known) -> Json:
    own = _own(turn, known, inside=("event", "tools", "messages", "frames"))
    own["failure"] = None  # A failure quotes the developer's source code.
    own["event"] = _own(turn["event"], known) if isinstance(turn["event"], dict) else turn["event"]
    own["tools"] = [_call(call, known, turn["spoken_text"]) for call in turn["tools"]]
    own["frames"] = [_own(frame, known) for frame in turn["frames"]]
    own["messages"] = [_message(message, known) for message in turn["messages"]]
    spoken = turn["spoken_text"]
    own["spoken_text"] = _mask(spoken)
    own["heard"] = _heard(turn)
    own["heard_text"] = None if turn["heard_text"] is None else own["heard"]
    own["cut"] = own["spoken_text"][len(own["heard"]) :] if turn["cut"] else ""
    _join(turn["speech"], own["speech"], "text", spoken)
    _join(_spoken(turn["frames"]), _spoken(own["frames"]), "content", spoken)
    _join(_parts(turn["messages"]), _parts(own["messages"]), "content", spoken)
    return own


def _heard(turn: Json) -> str:
    heard, spoken = turn["heard"], turn["spoken_text"]
    if spoken.startswith(heard) or _mask(spoken) == spoken:
        return masked_pieces([heard], spoken)[0]
    return MASK if heard else ""


def _own(values: Json, known: Known, *, ids: Iterable[str] = (), inside: Iterable[str] = ()) -> Json:
    """Mask all fields of a JSON object except those named in `_OURS`, `ids` or `inside`.

    `ids` names fields that hold ids. `inside` names fields that the calling code masks itself.
    """
    left = _OURS.union(ids, inside)
    return {name: value if name in left else _redact(name, value, known) for name, value in values.items()}


def _call(call: Json, known: Known, spoken: str) -> Json:
    """Mask a tool call. `spoken` is the whole text of the turn, and contains the words that the tool said.

    The tool's words are masked as a part of `spoken`, because a number may begin in these words and end after them.
    """
    own, said = _own(call, known, ids=("id",)), (call.get("effects") or {}).get("said", "")
    before, found, _ = spoken.partition(said) if said else ("", "", "")
    if found:
        own["effects"]["said"] = masked_pieces([before, said], spoken)[1]
    return own


def _message(message: Json, known: Known) -> Json:
    ids = ("id", "provider_response_id")
    parts = [_own(part, known, ids=ids) for part in message.get("parts", ())]
    return _own(message, known, ids=ids, inside=("parts",)) | {"parts": parts}


def _spoken(frames: Iterable[Json]) -> list[Json]:
    return [frame for frame in frames if frame["type"] == TTS]


def _parts(messages: Iterable[Json]) -> list[Json]:
    return [part for message in messages for part in message["parts"] if part.get("part_kind") == "text"]


def _join(pieces: Sequence[Json], masked: Sequence[Json], name: str, whole: str) -> None:
    """Mask a text that is recorded in pieces. The field `name` of each item in `masked` gets its piece of the result.

    `pieces` are the same items, not masked. `whole` is the complete text; the pieces may be only its beginning.
    """
    for into, text in zip(masked, masked_pieces([piece[name] for piece in pieces], whole), strict=True):
        into[name] = text


def masked_pieces(pieces: Sequence[str], whole: str = "") -> list[str]:
    """Mask a text that is cut into pieces, and return the masked text, cut at the same places.

    `whole` is the complete text if the pieces are only its beginning.
    """
    joined = "".join(pieces)
    whole = whole if whole.startswith(joined) else joined
    masked = _mask(whole)
    if masked == whole:
        return list(pieces)
    place, at, cut = _places(whole, masked), 0, [0]
    for piece in pieces:
        at += len(piece)
        cut.append(place(at))
    return [masked[start:end] for start, end in pairwise(cut)]


def _places(whole: str, masked: str) -> Callable[[int], int]:
    """Return a function that maps a position in `whole` to one in `masked`.

    A position within a masked word is mapped to the end of the mask.
    """
    old, new = _WORD.findall(whole), _WORD.findall(masked)
    starts, news = _starts(old), _starts(new)
    runs = list(_runs(old, new))
    ends = [starts[last] for _, _, last, _, _ in runs]

    def place(at: int) -> int:
        number = bisect_right(ends, at)
        if number == len(runs):
            return len(masked)
        same, first, _, into, to = runs[number]
        return news[into] + at - starts[first] if same or at == starts[first] else news[to]

    return place


def _runs(old: Sequence[str], new: Sequence[str]) -> Iterator[tuple[bool, int, int, int, int]]:
    """Divide the texts into runs of words that are the same in both, and runs that were masked.

    Yield for each run: whether it is the same in both, its start and its end in `old`, its start and its end in `new`.
    `difflib` would find the runs, too, but its time is cubic in the number of masks.
    """
    first = into = 0
    while first < len(old):
        last, to = first, into
        while last < len(old) and to < len(new) and old[last] == new[to]:
            last, to = last + 1, to + 1
        same = last > first
        if not same:
            last, to = _after_mask(old, new, first, into)
        yield same, first, last, into, to
        first, into = last, to


def _after_mask(old: Sequence[str], new: Sequence[str], first: int, into: int) -> tuple[int, int]:
    """Return the index in `old`, and the index in `new`, at which the text continues after a masked passage.

    `old` are the words of the original text, `new` those of the masked text. The passage begins at `first` in `old`,
    and at `into` in `new`.
    """
    for to in range(into + 1, len(new)):
        if any(mark in new[to] for mark in MARKS):
            continue
        # Compare several words, because the masked passage may also contain the first of them.
        words = list(takewhile(lambda word: not any(mark in word for mark in MARKS), new[to : to + MOST_COMPARED]))
        for last in range(first, len(old)):
            if old[last] == words[0] and old[last : last + len(words)] == words:
                return last, to
    return len(old), len(new)


def _starts(words: Sequence[str]) -> list[int]:
    starts = [0]
    for word in words:
        starts.append(starts[-1] + len(word))
    return starts
