"""Find personal details in a recording: values in metadata, tool calls and data, and names that the caller said."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from ..journal.record import DATA, Json, TurnRecord
from ..observability.privacy.caller_secrets import is_secret_name

Kind: TypeAlias = Literal["name", "address", "date of birth", "personal detail", "text you named"]

_KEYS: dict[Kind, re.Pattern[str]] = {
    "name": re.compile(
        r"(^|_)((first|last|full|given|family|caller|customer|guest|contact)_?name|sur_?name|user_?name)$"
    ),
    "address": re.compile(r"address|street|post_?code|zip"),
    "date of birth": re.compile(r"birth|(^|_)dob$"),
    "personal detail": re.compile(
        r"e?mail$|phone(_?number)?$|ssn|passport|iban|(^|_)(card|account)(_?(id|number|no))?$|(user|customer)_?(id|number)$"
    ),
}
_NAME_IN_METADATA = re.compile(r"^(name|user|customer|caller|contact|guest)$")
_APOSTROPHE = "['\u2019]"
_CAPITAL = r"[A-ZÀ-Þ][\w'\u2019-]+"
_SAID_NAME = re.compile(
    rf"\b(?:[Mm]y name(?: is|{_APOSTROPHE}s)|[Nn]ame is)\s+([\w'\u2019-]+(?:\s+{_CAPITAL})*)"
    rf"|\b(?:I{_APOSTROPHE}m|I am|[Tt]his is|[Ii]t{_APOSTROPHE}s)\s+({_CAPITAL}(?:\s+{_CAPITAL})*)"
)
_ASKED = re.compile(r"\b(?:your|the|what) (?:full |first |last )?name\b", re.IGNORECASE)
_ANSWER = re.compile(
    rf"^(?:(?:it{_APOSTROPHE}s|it is|i{_APOSTROPHE}m|i am|this is|yes|sure|name is)[\s,]+)*", re.IGNORECASE
)


@dataclass(frozen=True)
class Detail:
    """A personal detail. `given` is true if it came from the caller, false if only the agent's data has it."""

    text: str
    kind: Kind
    given: bool = True


def details_in(turns: Sequence[TurnRecord]) -> list[Detail]:
    """Return the personal details that are recognised: names that the caller said, and fields such as `email`."""
    spoken = " ".join(turn.user_text for turn in turns).casefold()
    found: list[Detail] = []
    asked = False
    for turn in turns:
        found += _fields(turn.metadata, metadata=True)
        found += [Detail(text, "name") for text in _said_names(turn.user_text, asked)]
        asked = bool(_ASKED.search(turn.heard))
        for value in _written(turn):
            found += [Detail(d.text, d.kind, given=d.text.casefold() in spoken) for d in _fields(value, said=spoken)]
    return [detail for detail in dict.fromkeys(found) if len(detail.text.strip()) > 1]


def _written(turn: TurnRecord) -> Iterator[Json]:
    """Yield the turn's tool arguments and results, its state, and the data that it sent to the page."""
    for call in turn.tools:
        yield from (call.args, call.result)
    yield turn.state
    yield from (frame.content for frame in turn.frames if frame.type == DATA)


def _said_names(text: str, asked: bool) -> Iterator[str]:
    for match in _SAID_NAME.finditer(text):
        yield match[1] or match[2]
    answer = _ANSWER.sub("", text.strip(" .!,"))
    if asked and 0 < len(answer.split()) <= 4 and not re.search(r"\d", answer):
        yield answer


def _fields(value: Json, *, metadata: bool = False, said: str = "") -> Iterator[Detail]:
    if isinstance(value, Mapping):
        for name, item in value.items():
            kind = _kind_of(str(name), item, metadata=metadata, said=said)
            if kind is not None:
                yield Detail(str(item), kind)
            else:
                yield from _fields(item, metadata=metadata, said=said)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _fields(item, metadata=metadata, said=said)


def _kind_of(field: str, value: Any, *, metadata: bool, said: str) -> Kind | None:
    plain = snake_case(field)
    if not isinstance(value, str | int) or isinstance(value, bool) or is_secret_name(plain):
        return None
    if metadata and isinstance(value, str) and _NAME_IN_METADATA.search(plain):
        return "name"
    # Products have names too: count only a capitalized name that the caller said.
    if plain == "name" and isinstance(value, str) and value[:1].isupper() and value.casefold() in said:
        return "name"
    return next((kind for kind, pattern in _KEYS.items() if pattern.search(plain)), None)


def snake_case(name: str) -> str:
    """Return a field's name in snake case, such as `first_name`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).replace("-", "_").lower()
