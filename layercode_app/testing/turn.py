"""The result of one turn: its speech and its tool calls, with helpers for assertions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..emulator.webhooks import Received
from ..journal.record import DATA, END, HANGUP, TTS, Kind, ToolCall, TurnRecord
from ..output.visible import visible, visible_lines


class Called:
    """An expected tool call: its name and some of its arguments. Nested objects may be partial too.

    `Called("add_item", item="croissant") in turn.tools`
    """

    def __init__(self, name: str, /, **args: Any) -> None:
        self.name = name
        self.args = args

    def __repr__(self) -> str:
        return shown_call(self.name, self.args)

    def fits(self, call: ToolCall) -> bool:
        """Return whether a call has this name and at least these arguments."""
        return call.name == self.name and is_part(self.args, call.args)


class ToolCalls(list[ToolCall]):
    """The tool calls of a turn, in the order they began.

    Compare the tool calls with the names of tools: `"menu" in turn.tools`, `turn.tools == ["menu"]`. The comparison
    ignores the order.
    """

    __hash__ = None

    def __contains__(self, wanted: object) -> bool:
        return any(_expected(wanted).fits(call) for call in self) if _is_expectation(wanted) else False

    def __eq__(self, other: object) -> bool:
        """Return whether the calls match `other`, a list of names or `Called` objects, in any order.

        Each call must match one item, and each item one call.
        """
        if not isinstance(other, list | tuple | set) or not all(_is_expectation(wanted) for wanted in other):
            return list.__eq__(self, other) if isinstance(other, ToolCalls) else False
        return len(self) == len(other) and self.include(*other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def include(self, *wanted: str | Called) -> bool:
        """Return whether each wanted call was made, in any order. A tool wanted twice must be called twice."""
        return _assign([_expected(one) for one in wanted], list(self))

    def __repr__(self) -> str:
        calls = (f"{shown_call(call.name, call.args)} -> {call.result!r} ({call.status})" for call in self)
        return f"[{', '.join(calls)}]"


@dataclass
class HeardTurn:
    """One turn as the caller heard it and as the journal recorded it. Times are in milliseconds since the request."""

    turn_id: str
    text: str
    """The caller's words; empty for a greeting."""
    status: int
    frames: list[Received] = field(default_factory=list)
    interrupted: bool = False
    heard: str = ""
    """The part of the speech that the caller heard."""
    record: TurnRecord | None = None
    """The turn's record in the journal."""
    error: BaseException | None = None
    """The exception that ended the turn, such as an error of the agent or a timeout. The caller heard an apology."""

    @property
    def spoken(self) -> str:
        """The complete speech as one text."""
        return "".join(frame.content for frame in self.frames if frame.type == TTS)

    @property
    def data(self) -> list[Any]:
        """The data sent to the caller's browser."""
        return [frame.content for frame in self.frames if frame.type == DATA]

    @property
    def types(self) -> list[str]:
        """The types of the frames, in order."""
        return [frame.type for frame in self.frames]

    @property
    def tools(self) -> ToolCalls:
        """The tool calls of the turn."""
        return ToolCalls(self.record.tools if self.record else [])

    @property
    def ttfs(self) -> float | None:
        """Time to first speech; None when nothing was spoken."""
        return next((frame.at_ms for frame in self.frames if frame.type == TTS), None)

    @property
    def total(self) -> float | None:
        """Time to `response.end`; None if it did not arrive."""
        return next((frame.at_ms for frame in self.frames if frame.type == END), None)

    @property
    def hangup(self) -> bool:
        """Whether the agent ended the call."""
        return HANGUP in self.types


def is_part(wanted: Any, whole: Any) -> bool:
    """Return whether `whole` matches `wanted`. Objects in `whole` may have more fields; lists match item by item."""
    if isinstance(wanted, Mapping):
        return isinstance(whole, Mapping) and all(
            name in whole and is_part(value, whole[name]) for name, value in wanted.items()
        )
    if isinstance(wanted, list | tuple):
        return (
            isinstance(whole, list | tuple)
            and len(wanted) == len(whole)
            and all(is_part(one, other) for one, other in zip(wanted, whole, strict=True))
        )
    return bool(wanted == whole)


def _assign(wanted: list[Called], calls: list[ToolCall]) -> bool:
    """Return whether every expectation can be matched with a call, without using a call twice."""
    if not wanted:
        return True
    first, *rest = wanted
    fitting = [at for at, call in enumerate(calls) if first.fits(call)]
    return any(_assign(rest, [*calls[:at], *calls[at + 1 :]]) for at in fitting)


def _is_expectation(value: object) -> bool:
    return isinstance(value, str | Called)


def _expected(wanted: object) -> Called:
    if isinstance(wanted, Called):
        return wanted
    return Called(str(wanted))


def shown_call(name: str, args: Any) -> str:
    """Return a tool call in readable form."""
    if not isinstance(args, Mapping):
        return f"{name}({args!r})"
    return f"{name}({', '.join(f'{key}={value!r}' for key, value in args.items())})"


def shown_error(error: BaseException) -> str:
    """Return an exception's type and its message, if it has one."""
    return f"{type(error).__name__}: {error}".removesuffix(": ")


def transcript(turns: Iterable[HeardTurn]) -> str:
    """Return the conversation as readable text, to show why a test failed."""
    lines: list[str] = []
    for turn in turns:
        lines.append(spoken_line("caller", turn.text or "(silent)") if _by_caller(turn) else "(the call begins)")
        lines += [
            visible(f"  tool: {shown_call(call.name, call.args)} -> {call.result!r} ({call.status})")
            for call in turn.tools
        ]
        lines += [f"  data: {content!r}" for content in turn.data]
        lines.append(spoken_line("agent", turn.spoken or "(says nothing)"))
        if turn.interrupted:
            lines.append(f"  (interrupted; heard: {turn.heard!r})")
        if turn.status not in (0, 200):  # 0: the caller interrupted before the answer began
            lines.append(f"  (answered with status {turn.status})")
        if turn.error is not None:
            lines.append(visible(f"  (failed: {shown_error(turn.error)})"))
    return "\n".join(lines)


def _by_caller(turn: HeardTurn) -> bool:
    """Return whether the turn answers a message of the caller, even an empty message. A greeting answers no message."""
    return bool(turn.text) or (turn.record is not None and turn.record.kind is Kind.MESSAGE)


def spoken_line(speaker: str, text: str) -> str:
    """Return one speaker's text for a transcript.

    All lines after the first line of the text are indented, so that none of them looks like another speaker's line.
    """
    return f"{speaker + ':':<8}{visible_lines(text, indent=' ' * 8)}"
