"""Replace personal details, consistently and in the same form, so that tools accept the replacements.

Details that came from the caller are replaced everywhere. Details that only the agent knows are cut out of what
the scenario expects. They cannot be replaced, because the agent will say the real details.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..journal.record import Json, TurnRecord
from ..observability.privacy.caller_secrets import is_secret_name
from ..observability.privacy.masking import MASK, PERSONAL, without_secrets
from .forms import LAST_DIGITS, PART_OF_NUMBER, digits_in, fictional, formed, key_of, with_digits
from .personal_details import Detail, details_in

GAP = "\0"
"""Marks a place in a text where something was cut out."""
OMITTED = object()
"""Marks a value that cannot be part of an expectation."""
MASKED = "something private"
"""Spoken words that replace the mask of an export. The mask itself is in brackets, so it would look like a note."""
NAMES = ("Robin", "Garcia", "Alex", "Meyer", "Kim", "Novak", "Sasha", "Olsen")
_PATTERNS = {name.replace(" ", "_").replace("-", "_"): (name, pattern) for name, pattern in PERSONAL.items()}


class StandIns:
    """Replaces the personal details in one conversation.

    The texts in `also` are replaced too. The texts in `keep` are never replaced.
    """

    def __init__(self, turns: Sequence[TurnRecord], *, also: Iterable[str] = (), keep: Iterable[str] = ()) -> None:
        self._replaced: Counter[tuple[str, str, str]] = Counter()
        self._keys: dict[str, int] = {}
        self._numbers: dict[str, int] = {}
        """For each personal number of the caller, by its digits: the index of the fictional number that replaces it."""
        self._kept = {text.casefold() for text in keep}
        self._everything = " ".join(turn.user_text + " " + turn.spoken_text for turn in turns).casefold()
        self._details: dict[str, Detail] = {}
        self._words: dict[str, str] = {}
        for detail in [*(Detail(text, "text you named") for text in also), *details_in(turns)]:
            self._add(detail)
        self._pattern = self._compiled()
        for turn in turns:
            self._learn(turn)
        self._replaced.clear()

    @property
    def replaced(self) -> list[dict[str, Json]]:
        """The personal details that were replaced or cut out, with their kinds and counts.

        `original` is only the first letter of the detail. If the detail is a secret, `original` is the name of its
        field. `by` is the replacement, or None if the detail was cut out.
        """
        return [
            {"kind": kind, "original": shown, "by": by or None, "times": times}
            for (kind, shown, by), times in sorted(self._replaced.items())
        ]

    def caller(self, text: str) -> str:
        """Return the caller's words with their personal details replaced."""
        return self._sub(text, given=True)

    def agent(self, text: str) -> list[str]:
        """Return the agent's words without the details that only the agent knows, as a list of pieces."""
        return [piece for part in self._sub(text, given=False).split(GAP) if len(piece := part.strip()) > 1]

    def beginning(self, text: str) -> list[str]:
        """Return an interrupted reply without the details that only the agent knows, as a list of pieces.

        This also leaves out a number at the end of the reply, because the interruption may have cut it. The method
        `agent` keeps such a number.
        """
        return self.agent(LAST_DIGITS.sub("", text))

    def metadata(self, values: Mapping[str, Json]) -> dict[str, Json]:
        """Return metadata without its secrets, and with its personal details replaced."""
        for name in filter(is_secret_name, values):
            self._replaced["secret", name, ""] += 1
        known = {name: value for name, value in values.items() if not is_secret_name(name)}
        return {self.caller(name): self._given(value) for name, value in known.items()}

    def _given(self, value: Json) -> Json:
        if isinstance(value, Mapping):
            return self.metadata(value)
        if isinstance(value, list):
            return [self._given(item) for item in value]
        if isinstance(value, str):
            return self.caller(value)
        return self._number(value) if str(value) in self._details else value

    def expected(self, value: Json) -> Json:
        """Convert a recorded value of the agent, such as tool arguments, to the value that a scenario expects.

        Details that came from the caller are replaced. A text, number or list that contains a detail that only the
        agent knows becomes OMITTED as a whole. A mapping loses each entry whose value is OMITTED, whose name contains
        such a detail, or whose name is that of a secret.
        """
        if isinstance(value, Mapping):
            known = {name: item for name, item in value.items() if not is_secret_name(str(name))}
            parts = [(self._sub(str(name), given=False), self.expected(item)) for name, item in known.items()]
            return {name: part for name, part in parts if part is not OMITTED and GAP not in name}
        if isinstance(value, list | tuple):
            parts_of_list = [self.expected(item) for item in value]
            return OMITTED if OMITTED in parts_of_list else parts_of_list
        if isinstance(value, str):
            text = self._sub(value, given=False)
            return OMITTED if GAP in text else text
        if isinstance(value, int) and str(value) in self._details:
            return self._number(value) if self._details[str(value)].given else OMITTED
        return value

    # --- finding

    def _add(self, detail: Detail) -> None:
        """Register a personal detail. Register each word of a name too, because agents may say only one of them."""
        key = detail.text.strip().casefold()
        if key in self._kept:
            return
        known = self._details.get(key)
        self._details[key] = detail if known is None or detail.given else known
        if detail.kind == "name":
            for word in re.findall(r"[^\W\d_]{3,}", key):
                if word not in self._kept:
                    self._details.setdefault(word, Detail(word, "name", detail.given))
                    self._words.setdefault(word, self._name())

    def _name(self) -> str:
        taken = set(self._words.values())
        free = (name for name in NAMES if name not in taken and name.casefold() not in self._everything)
        return next(free, f"Person{chr(ord('A') + len(taken) % 26)}")

    def _compiled(self) -> re.Pattern[str]:
        patterns = [f"(?P<{group}>{pattern})" for group, (_, pattern) in _PATTERNS.items()]
        patterns.append(f"(?P<part>{PART_OF_NUMBER})")
        literals = [re.escape(text) for text in sorted(self._details, key=len, reverse=True)]
        if literals:
            patterns.append(rf"(?P<literal>(?<!\w)(?:{'|'.join(literals)})(?!\w))")
        return re.compile("|".join(patterns), re.IGNORECASE)

    def _learn(self, turn: TurnRecord) -> None:
        """Register the personal details in the caller's words and the metadata, and both phone numbers of the call."""
        event = turn.event or {}
        self.caller(turn.user_text)
        self.metadata(turn.metadata)
        for number in ("from_phone_number", "to_phone_number"):
            self.caller(str(event.get(number) or ""))

    # --- replacing

    def _sub(self, text: str, *, given: bool) -> str:
        text = without_secrets(text).replace(MASK, MASKED)
        return self._pattern.sub(lambda match: self._replace(match, given), text)

    def _replace(self, match: re.Match[str], given: bool) -> str:
        found = match[0]
        if found.casefold() in self._kept:
            return found
        if match.lastgroup == "literal":
            detail = self._details[found.casefold()]
            return self._note(detail.kind, found, self._literal(found, detail) if given or detail.given else GAP)
        if match.lastgroup == "part":
            return self._part(found)
        kind, _ = _PATTERNS[str(match.lastgroup)]
        key = key_of(kind, found)
        if not given and key not in self._keys:
            return self._note(kind, found, GAP)
        number = self._keys.setdefault(key, len(self._keys) + 1)
        if "number" in kind:
            self._numbers.setdefault(digits_in(found), number)
        return self._note(kind, found, formed(kind, found, number))

    def _part(self, found: str) -> str:
        """Replace a few digits if they are part of a known personal number of the caller, such as a phone number."""
        digits = digits_in(found)
        for whole, number in self._numbers.items():
            if (at := whole.rfind(digits)) >= 0:
                by = fictional(len(whole), number)[at : at + len(digits)]
                return self._note("part of a number", found, with_digits(found, by))
        return found

    def _note(self, kind: str, found: str, by: str) -> str:
        self._replaced[kind, found[:1] + "…", by.strip(GAP)] += 1
        return by

    def _literal(self, found: str, detail: Detail) -> str:
        if detail.kind == "name":
            by = re.sub(r"[^\W\d_]{3,}", lambda word: self._words.get(word[0].casefold(), word[0]), found)
            return by.lower() if found.islower() else by
        if detail.kind == "date of birth":
            return "2000-01-01"
        number = self._keys.setdefault(found.casefold(), len(self._keys) + 1)
        return f"{number} Example Street" if detail.kind == "address" else f"example {number}"

    def _number(self, value: Any) -> int:
        """Return the replacement for a number that is a personal detail."""
        number = self._keys.setdefault(str(value), len(self._keys) + 1)
        return int(self._note("number", str(value), fictional(len(str(value)), number)))
