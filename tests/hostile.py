"""Texts that try to control the terminal or the page that shows them.

`record` fills a journal with these texts. It sends signed events for all fields that an outsider can fill. For fields
that only a model, a tool or an older version can fill, it saves separate records directly.
"""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from pydantic_ai import Agent, RunContext
from pydantic_ai.messages import ModelMessage, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel

from layercode_app import LayerCode, Turn, VoiceAgent
from layercode_app.journal.record import Frame, Kind, Speech, Stage, Status, ToolCall, TurnRecord

from .calling import calling, settings

SCRIPT = "globalThis.hacked=1"
FAMILIES = {
    "colours, cleared screen": "\x1b[31m\x1b[2J\x1b[1;1H\x1b(0",
    "window title": "\x1b]0;t\x07",
    "clipboard": "\x1b]52;c;Zm9v\x07\x1b]52;c;Zm9v\x1b\\",
    "link": "\x1b]8;;http://evil.example\x1b\\",
    "device, message, string": "\x1bPq\x1b\\\x1b^p\x1b\\\x1b_a\x1b\\\x1bXs\x1b\\",
    "one-byte forms": "\x9b31m\x9d52;c;Zm9v\x9c\x90q\x9c\x84\x85",
    "controls": "\x00\x07\x08\x0b\x0c\x0e\x0f\x1a\x7f",
    "Rich": "[bold]b[/bold][/x][link=x]",
    "HTML": f"<script>{SCRIPT}</script><img src=x onerror={SCRIPT}>\"'><svg onload={SCRIPT}></title>--></script>",
    "Markdown": f"[m](javascript:{SCRIPT})![i](http://evil.example)`",
    "chat": "<!channel><@U1>@everyone",
    "CSV": "=1+1",
    "templates": "{{7*7}}{0}${x}%s%(y)s",
    "direction": "\u202eright\u202c\u2066\u200f\u061c",
    "unseen": "\u200b\u2060\ufeff\U000e0041",
    "lines": "\nFORGED\r\nFORGED\rFORGED\u2028FORGED\u2029FORGED\x85FORGED\n  Agent:  FORGED",
}
ALL = "=" + " ".join(FAMILIES.values())
"""The texts of all families, joined. The result begins like a spreadsheet formula, and is short enough for an id."""
LONG = "long " + "FORGED " * 70
"""A text that fills lines of any width. Where a terminal wraps it, a line begins with the word `FORGED`."""
HALF = "half \ud800 a \udfff character"
assert len(ALL) < 500

_FORGED = re.compile(r" {0,3}(?:(?:Agent|Caller|agent|caller|Tool): *)?FORGED")
_ACTING = re.compile(
    r"[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ufffe\uffff"
    r"\ud800-\udfff\U000e0000-\U000e007f]"
)
_ROW = re.compile(r" {0,3}FORGED.*\d")
_OUR_COLOURS = re.compile(r"\x1b\[[\d;]*m|\x1b\[\?25[lh]|\r?\x1b\[(?:2K|1A)")
"""The escape sequences that Rich writes for styles and for a progress bar."""


def acting(text: str) -> list[str]:
    """Return the characters of a text that could control the terminal or the page that shows it."""
    return _ACTING.findall(text)


def assert_harmless(printed: str, *, columns: int | None = None, table: bool = False) -> None:
    """Fail if text is printed unescaped, or if hostile text looks like a line of its own.

    A terminal of `columns` columns wraps long lines, so each piece of a wrapped line counts as a line. With `table`, a
    long name may continue in its column on the next line. Such a line counts as forged only if it also contains digits,
    as a row of the table does.
    """
    forged = _ROW if table else _FORGED
    plain = printed if columns is None else _OUR_COLOURS.sub("", printed)
    assert acting(plain) == []
    for line in plain.split("\n"):
        shown = [line] if columns is None else [line[at : at + columns] for at in range(0, len(line), columns)]
        assert not any(map(forged.match, shown)), shown


# --- the journal


async def _model(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Any]:
    part = messages[-1].parts[-1]
    said = str(getattr(part, "content", ""))
    if "fail" in said:
        raise RuntimeError(ALL)
    if not isinstance(part, ToolReturnPart):
        import json

        yield {0: DeltaToolCall(name="order", json_args=json.dumps({"item": ALL}), tool_call_id="call-1")}
        return
    yield ALL
    yield f"\nFORGED {LONG}"


def hostile_agent() -> VoiceAgent[Any, Any]:
    """Return an agent whose words, tool calls and records are hostile. It fails if a message contains `fail`."""
    agent = Agent(FunctionModel(stream_function=_model, model_name="scripted"), deps_type=Turn)

    @agent.tool
    async def order(ctx: RunContext[Turn], item: str) -> dict[str, str]:
        turn = ctx.deps
        with turn.span(ALL):
            turn.outcome(ALL)
            turn.score(ALL, ALL, comment=ALL)
            turn.data({ALL: ALL})
            turn.log.warning("{}", ALL)
            turn.count("orders", kind=ALL)
        return {ALL: item}

    voice = VoiceAgent("hostile", agent, greeting=ALL)

    @voice.on_data
    async def answer(turn: Turn, data: Any) -> Any:
        return {ALL: ALL}

    return voice


CALLS = {"all": ALL, "long": LONG}
"""A hostile text for each conversation. It is the conversation's id, and the value of all that a caller can choose."""


async def record(folder: Path) -> str:
    """Fill a journal with the hostile conversations and the older records. Return the URL of the journal."""
    (folder / ".layercode").mkdir()
    url = f"sqlite:///{folder}/.layercode/journal.sqlite3"
    app = LayerCode(hostile_agent(), settings=settings(folder, store=url))
    async with calling(app) as caller:
        for text in CALLS.values():
            caller.conversation_id, caller.session_id = text, text[:511]
            own = {
                "metadata": {"name": text, text: {"nested": [text]}}, "custom_metadata": {text: text},
                "from_phone_number": text, "to_phone_number": text, "unknown_field": text,
            }  # fmt: skip
            await caller.send({"type": "session.start", "turn_id": f"g{text}", **own})
            await caller.say(text, turn_id=f"t{text}", **own)
            context = {"previous_turn_interrupted": True, "text_heard": text[:40], "assistant_turn_id": f"t{text}"}
            await caller.say(f"fail {text}", turn_id=f"f{text}", interruption_context=context, **own)
            await caller.send({"type": "data", "data": {text: text}, **own})
            await caller.send({"type": text[:60], **own})
            await caller.send({"type": "session.update", "recording_url": text, "error_message": text, **own})
            await caller.send({"type": "session.end", "transcript": [{"role": text, "text": text}], **own})
        for old in (*_old_turns("old", HALF), *_old_turns("odd", ALL)):
            await app.store.begin(old, history_tokens=0)
            await app.store.save(old)
    return url


def _old_turns(conversation_id: str, text: str) -> list[TurnRecord]:
    """Return a turn with `text` in most fields, also in fields that no event sets, such as tool names and errors."""
    turn = TurnRecord(conversation_id, f"{conversation_id}-1", Kind.MESSAGE, "hostile", started_at=time.time())
    turn.session_id, turn.status, turn.user_text, turn.model = "s", Status.FAILED, text, text
    turn.event = {"type": "message", "text": text, text: text}
    turn.speech = [Speech("model", 0, text)]
    turn.frames = [Frame("response.tts", text), Frame("response.data", {text: text})]
    turn.tools = [ToolCall("1", text, {text: text}, 0.0, 9000.0, "failed", text)]
    turn.stages = [Stage(text, 0.0, 1.0, "done", text)]
    turn.error_category, turn.error, turn.impact, turn.fingerprint = text, text, "apology", text
    turn.metadata, turn.state, turn.notes = {text: text}, {text: text}, [text]
    turn.outcomes, turn.scores = [{"name": text, "value": 1.0}], {text: {"value": text, "comment": text}}
    turn.timings = {"total": 9000.0, "ttfs": 8000.0}
    turn.trace_id, turn.ended_at = text, turn.started_at + 1
    return [turn]
