"""Example runs, each with a conversation, for the tests of the page that shows an evaluation."""

from __future__ import annotations

from typing import Any

from layercode_app.emulator.webhooks import Received
from layercode_app.journal.record import (
    DATA,
    END,
    TTS,
    Frame,
    Kind,
    ModelCall,
    Speech,
    Stage,
    Status,
    ToolCall,
    TurnRecord,
)
from layercode_app.testing import HeardTurn
from layercode_app.testing.evals.played import Played
from layercode_app.testing.evals.told_turn import told_turn


def recorded(text: str) -> TurnRecord:
    """Return the record of a turn of 900 ms, with two model requests, a failed tool, a stage and a filler.

    The names of the models, of the tool and of the stage are `text`, and so are the words of the model.
    """
    record = TurnRecord("c", "turn-1", Kind.MESSAGE, "bakery", status=Status.COMPLETE)
    record.timings = {"verified": 1.0, "history": 3.0, "ttft": 300.0, "ttfs": 310.0, "total": 900.0}
    record.requests = [ModelCall(text, 4.0, 300.0, 600.0, "done"), ModelCall(text, 410.0, None, 420.0, "done", text)]
    record.tools = [ToolCall("1", text, {"item": text}, 610.0, 700.0, "failed", text)]
    record.stages = [Stage(text, 400.0, 430.0, "done")]
    record.speech = [Speech("filler", 0, "Well. "), Speech("model", 1, text)]
    record.frames = [
        Frame(TTS, "Well. ", 310.0),
        Frame(TTS, text, 700.0),
        Frame(TTS, text, 720.0),
        Frame(END, None, 900.0),
    ]
    return record


def run_with_turn(text: str, *failures: str, number: int = 1, turns: int = 1) -> Played:
    """Return a run whose turns are all the same. Each text in it is `text`."""
    turn = HeardTurn("turn-1", text, 200, interrupted=True, heard=text[:5])
    sent: dict[str, Any] = {TTS: text, DATA: {"basket": text}}
    turn.frames = [Received(310.0, {"type": kind, "content": content}) for kind, content in sent.items()]
    turn.error = RuntimeError(text)
    played = Played(text, text, number, [text], list(failures), agent=text, transcript=text, notes=[text])
    played.conversation = [told_turn(turn, recorded(text)) for _ in range(turns)]
    played.verdicts = [{"question": text, "turn": 1, "answer": "yes", "reason": text}]
    played.behaviours = [{"turn": 1, "said": text + "?", "behaviours": [text]}]
    return played
