"""Compare a recorded turn with its replay. A difference holds its kind, the recorded value and the replayed value.

The strict comparison requires equal values. The `semantic` comparison ignores white space, case, and the order of tool
calls and of data. It does not compare the turn's outcomes and state at all. If the spoken words differ and there is a
judge, `replay` asks the judge whether the words mean the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import zip_longest
from typing import Any

from ..journal.record import DATA, HANGUP, Json, Status, ToolCall, TurnRecord
from ..journal.record_json import sorted_json
from ..observability.privacy.masked_export import redact
from ..observability.privacy.masking import MASK
from ..testing.turn import shown_call
from .compare import diff
from .recording import messages_in, said, was_stopped

NOT_RUN = "data, hang-up, outcomes and state, because the tools gave recorded answers (--run-tools runs them)"
AROUND = 60
"""How many characters of a prompt are shown before a change in it."""


@dataclass(frozen=True)
class Difference:
    """One difference between a recorded turn and its replay.

    `what` names the kind of difference. `recorded` and `came` are the recorded and the replayed value; None if absent.
    """

    what: str
    recorded: Json
    came: Json

    def to_json(self) -> dict[str, Json]:
        """Return the difference as JSON."""
        return {"what": self.what, "recorded": self.recorded, "came": self.came}


@dataclass(frozen=True)
class Comparison:
    """A recorded turn and its replay.

    `stood_in` holds the ids of the replay's tool calls that did not run. They got the recorded result instead, or an
    error if there was none.
    """

    old: TurnRecord
    new: TurnRecord
    semantic: bool = False
    recorded_model: bool = True
    stood_in: frozenset[str] = frozenset()
    error: Exception | None = None
    masked: bool = False
    """True if the recording is masked. The replay is then masked in the same way before it is compared."""

    @property
    def tools_ran(self) -> bool:
        """True if all tools ran, so that their side effects can be compared."""
        return not self.stood_in

    def differences(self) -> list[Difference]:
        """Return the differences of everything but the spoken text, which `words` compares.

        Data, hang-ups, outcomes and state are compared only if all tools ran.
        """
        found = [*self._instructions(), *self._tools()]
        if self.tools_ran:
            found += [*self._data(), *self._deeds()]
        return [*found, *self._ending()]

    def words(self) -> Difference | None:
        """Return the difference between the spoken texts, or None if they are equal."""
        recorded, came = self._plain(said(self.old)), self._plain(said(self.new))
        if was_stopped(self.old):
            # The recorded text was cut off, so compare only a beginning of the same length of the replayed text.
            came = came[: len(recorded)]
        return None if recorded == came else Difference("speech", said(self.old), said(self.new))

    def _plain(self, text: str) -> str:
        if self.masked:
            text = redact(text).replace(MASK, MASK.strip("[]"))  # plain speech drops brackets
        return " ".join(text.casefold().split()) if self.semantic else text

    def _instructions(self) -> Iterator[Difference]:
        """Yield the differences between the recorded prompts and those of the replay."""
        if not self.recorded_model:
            # A real model answered, so its words show the effect of a changed prompt.
            return
        seen: set[tuple[str, str]] = set()
        # Later prompts may depend on the side effects of tools, so they are compared only if the tools ran.
        count = None if self.tools_ran else 1
        for recorded, came in zip(_prompts(self.old)[:count], _prompts(self.new), strict=False):
            if self._plain(recorded) != self._plain(came) and (recorded, came) not in seen:
                seen.add((recorded, came))
                yield Difference("instructions", *_changed_parts(recorded, came))

    def _tools(self) -> Iterator[Difference]:
        new = self.new.tools[: len(self.old.tools)] if was_stopped(self.old) else self.new.tools
        for old, call in _paired(self.old.tools, new, lambda call: self._key([call.name, call.args]), self.semantic):
            if old is None or call is None or self._key([old.name, old.args]) != self._key([call.name, call.args]):
                came = None if call is None else shown_call(call.name, call.args)
                recorded = None if old is None else shown_call(old.name, old.args)
                yield Difference("tool", recorded, came or (old and _why_no_call(old, self.new)))
            elif call.id not in self.stood_in and self._comparable(old, call):
                yield Difference(f"result of {old.name}", _outcome(old), _outcome(call))

    def _comparable(self, old: ToolCall, call: ToolCall) -> bool:
        """Return whether to show the two results as a difference: both calls have ended, and their results differ."""
        ended = {old.status, call.status} <= {"done", "failed"}
        return ended and self._key(_outcome(old)) != self._key(_outcome(call))

    def _data(self) -> Iterator[Difference]:
        old, new = _data_of(self.old), _data_of(self.new)
        if was_stopped(self.old):
            new = new[: len(old)]
        for recorded, came in _paired(old, new, self._key, self.semantic):
            if self._key(recorded) != self._key(came):
                yield Difference("data", recorded, came)

    def _deeds(self) -> Iterator[Difference]:
        if was_stopped(self.old):
            return
        old, new = (HANGUP in [frame.type for frame in turn.frames] for turn in (self.old, self.new))
        if old != new:
            yield Difference("hang-up", old, new)
        for what in () if self.semantic else ("outcomes", "state"):
            recorded, came = getattr(self.old, what), getattr(self.new, what)
            if self._key(recorded or None) != self._key(came or None):
                yield Difference(what, recorded, came)

    def _ending(self) -> Iterator[Difference]:
        failed = [turn.status is Status.FAILED for turn in (self.old, self.new)]
        if failed[0] != failed[1] and not was_stopped(self.old):
            yield Difference("ending", _ended(self.old), _ended(self.new, self.error))

    def _key(self, value: Json) -> bytes:
        """Return a key for a value. Two values count as equal if their keys are equal."""
        value = redact(value) if self.masked else value
        value = self._normal(value) if self.semantic else value
        return sorted_json(value)

    def _normal(self, value: Json) -> Json:
        if isinstance(value, dict):
            return {name: self._normal(item) for name, item in value.items()}
        if isinstance(value, list):
            return [self._normal(item) for item in value]
        return self._plain(value) if isinstance(value, str) else value


def _paired(
    old: Sequence[Any], new: Sequence[Any], key: Callable[[Any], bytes], any_order: bool
) -> Iterator[tuple[Any, Any]]:
    """Align two lists as a diff does, and yield the pairs.

    First, equal items are paired. Then the items that remain in a gap between equal items are paired in their order. An
    item without a counterpart is paired with None. So one extra or missing item does not shift all others. If
    `any_order` is true, both lists are sorted before they are aligned.
    """
    if any_order:
        old, new = sorted(old, key=key), sorted(new, key=key)
    matcher = SequenceMatcher(None, [key(one) for one in old], [key(one) for one in new], autojunk=False)
    for _, a, b, c, d in matcher.get_opcodes():
        yield from zip_longest(old[a:b], new[c:d])


def _outcome(call: ToolCall) -> Json:
    return f"failed: {call.result}" if call.status == "failed" else call.result


def _why_no_call(old: ToolCall, new: TurnRecord) -> str | None:
    """Return a text that says why the replay lacks this recorded tool call, or None if the reason is unknown.

    The reason is known only if the model called the same tool in the replay, and the agent refused that call.
    """
    for message in messages_in(new):
        for part in message.parts:
            if part.part_kind == "tool-return" and part.outcome == "retried" and part.tool_name == old.name:
                return f"the call was refused: {part.content}"
    return None


def _data_of(turn: TurnRecord) -> list[Json]:
    return [frame.content for frame in turn.frames if frame.type == DATA]


def _ended(turn: TurnRecord, error: Exception | None = None) -> str:
    if turn.status is not Status.FAILED:
        return str(turn.status)
    return f"failed: {type(error).__name__}: {error}" if error is not None else f"failed: {turn.error}"


def _prompts(turn: TurnRecord) -> list[str]:
    """Return the instructions of each request to the model."""
    requests = [message for message in messages_in(turn) if message.kind == "request"]
    return [
        "\n\n".join(
            [*(part.content for part in request.parts if part.part_kind == "system-prompt"), request.instructions or ""]
        )
        for request in requests
    ]


def _changed_parts(recorded: str, came: str) -> tuple[str, str]:
    """Return the differing passages of two long texts, each with a few words of context before it."""
    old: list[str] = []
    new: list[str] = []
    before = ""
    for run in diff(recorded, came):
        if run["kind"] == "same":
            before = run["text"][-AROUND:]
            continue
        (old if run["kind"] == "removed" else new).append(f"…{before}{run['text']}")
    return " ".join(old) or "(nothing here)", " ".join(new) or "(nothing here)"
