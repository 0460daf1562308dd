"""Print recorded conversations, and write exports."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeVar

from ...exceptions import ConfigurationError, NotRecordedError
from ...journal.cost import cost_of
from ...journal.forget import Forgotten, export_path
from ...journal.model_usage import Share
from ...journal.open import SETTING, naming, open_journal
from ...journal.read import turns_of
from ...journal.record import Json, Stage, Status, TurnRecord
from ...journal.record_json import from_json, to_json
from ...journal.stores.base import Store, Summary
from ...output.terminal import Part, print_block, print_file, print_json, print_line
from ...output.visible import json_text, shortened
from ...reports.conversations import is_spoken, moment, summary_json, turn_json, unheard
from ...reports.explain import explain, explain_json
from ...reports.figures import counted, milliseconds
from ...settings import load_settings

T = TypeVar("T")
LONGEST_ID = 80
"""Maximum characters of an id in a line; `--json` has the whole id."""


def with_journal(store: str | None, read: Callable[[Store], Awaitable[T]]) -> T:
    """Open the journal at `store`, or the journal of the settings, and return the result of `read`."""
    settings = load_settings({"store": store})

    async def work() -> T:
        with naming(SETTING if store is None else "--store"):
            async with open_journal(settings.store) as journal:
                return await read(journal)

    return asyncio.run(work())


async def turns_of_call(journal: Store, conversation: str | None, *, bodies: bool = False) -> list[TurnRecord]:
    """Return the turns of a conversation. None means the conversation that was active last.

    Raises NotRecordedError if the conversation is not recorded.
    """
    if conversation is None:
        found = await journal.conversations(limit=1)
        if not found:
            raise NotRecordedError("No conversation is in the journal yet. `chat`, `dev` and `run` record them.")
        conversation = found[0].conversation_id
    return await turns_of(journal, conversation, bodies=bodies)


def print_list(found: Sequence[Summary], *, as_json: bool) -> None:
    """Print one line for each conversation."""
    if as_json:
        print_json([summary_json(summary) for summary in found])
        return
    ids = [shortened(summary.conversation_id, LONGEST_ID) for summary in found]
    width = max(map(len, ids), default=0)
    for conversation_id, summary in zip(ids, found, strict=True):
        when = (moment(summary.last_at) or "")[:19].replace("T", " ")
        print_line(f"{conversation_id:<{width}}  {when}  {counted(summary.turns, 'turn'):>10}  {summary.agent}")
    if not found:
        print_line("No conversations yet.")


def print_conversation(turns: Sequence[TurnRecord], *, as_json: bool) -> None:
    """Print a conversation as the caller heard it."""
    if as_json:
        print_json([turn_json(turn) for turn in turns])
        return
    print_block("", f"{turns[0].agent}: {turns[0].conversation_id}", style="bold", one_line=True)
    for turn in turns:
        print_line()
        _print_turn(turn, turns[0].agent)


def print_summary(summary: Json) -> None:
    """Print the summary text and the facts of a long conversation. Print nothing if `summary` is None."""
    if summary is None:
        return
    print_line()
    print_block("  Summary: ", str(summary["text"]), style="dim")
    for fact in summary["facts"]:
        print_block("  Fact:    ", str(fact), style="dim")


def _print_turn(turn: TurnRecord, first: str) -> None:
    # Ids, names and words are untrusted: shorten them, so that they do not wrap into lines that look like ours.
    print_line((shortened(turn.turn_id, LONGEST_ID), "dim"))
    if not is_spoken(turn):
        print_block("  ", f"({_event(turn)})", style="dim", one_line=True)
        return
    if turn.user_text:
        print_block("  Caller: ", turn.user_text, style="cyan")
    said: list[Part] = [turn.heard]
    label = "Agent" if turn.agent == first else shortened(turn.agent, 20)
    if left := unheard(turn):
        said.append((f"{left} (not heard)", "dim strike"))
    print_block(f"  {label}:  ", *said)
    for call in turn.tools:
        took = "" if call.ended_ms is None else f", {milliseconds(call.ended_ms - call.started_ms)}"
        print_block("  Tool:   ", f"{call.name}({_short(call.args)}) {call.status}{took}", style="dim", one_line=True)
    for call in (turn.pending or {}).get("calls", ()):
        asked = f"{call['name']}({_short(call['args'])}) waits for the caller's answer"
        print_block("  Asked:  ", asked, style="dim", one_line=True)
    if turn.handed_to:
        print_block("  Handed: ", f"the call was handed to {turn.handed_to}", style="dim", one_line=True)
    for stage in turn.stages:
        _print_stage(stage, turn.handed_by)
    if len(shares := turn.shares) > 1:
        for share in shares:
            usage = " · ".join([share.model or "(no model)", *_used(share)])
            print_block("  Model:  ", usage, style="dim", one_line=True)
    print_block("  ", figures(turn), style="red dim" if turn.status is Status.FAILED else "dim", one_line=True)


def _event(turn: TurnRecord) -> str:
    return str((turn.event or {}).get("type", turn.kind))


def _short(value: object) -> str:
    return shortened(json_text(value), 80)


def figures(turn: TurnRecord) -> str:
    """Return a turn's figures as one line."""
    parts = [str(turn.status), f"first speech {milliseconds(turn.timings.get('ttfs'))}"]
    parts.append(f"total {milliseconds(turn.timings.get('total'))}")
    parts += _used(turn)
    parts += [turn.model] if turn.model else []
    detail = f" ({turn.error_detail})" if turn.error_detail else ""
    parts += [f"error {turn.error_category}{detail}, the caller got {turn.impact}"] if turn.error_category else []
    parts += [f"outcome {given['name']}" for given in turn.outcomes]
    parts += [f"{name} {score['value']}" for name, score in turn.scores.items() if isinstance(score, dict)]
    return " · ".join(parts)


def _print_stage(stage: Stage, handed_by: Sequence[str]) -> None:
    """Print a timed part of a turn.

    A name such as `stage order` is a stage of the call. `agent billing` is the time until the agent `billing` handed the
    call over. Any other name was given to `turn.span`.
    """
    took = milliseconds(None if stage.ended_ms is None else stage.ended_ms - stage.started_ms)
    if (agent := stage.name.removeprefix("agent ")) != stage.name and agent in handed_by:
        print_block("  Handed: ", f"{agent} handed the call over after {took}", style="dim", one_line=True)
        return
    ended = f"{stage.name.removeprefix('stage ')} {stage.status}, {took}"
    shown = " · ".join([ended, *_used(stage), *([stage.model] if stage.model else [])])
    print_block("  Stage:  ", shown, style="dim", one_line=True)


def _used(part: TurnRecord | Stage | Share) -> list[str]:
    """Return the tokens and cost of a turn or a stage; nothing if no model was called."""
    if not part.usage.get("requests"):
        return []
    tokens = f"{part.usage.get('input_tokens', 0):,}+{part.usage.get('output_tokens', 0):,} tokens"
    return [tokens, f"cost {cost_of(part)}"]


def print_explanations(turns: Sequence[TurnRecord], *, as_json: bool) -> None:
    """Print one sentence for each spoken turn: why it was slow, silent or cut off."""
    spoken = [turn for turn in turns if is_spoken(turn)]
    if as_json:
        print_json([explain_json(turn) for turn in spoken])
        return
    for turn in spoken:
        trace = f" [trace {turn.trace_id}]" if turn.trace_id else ""
        print_block("", f"{turn.turn_id}: {explain(turn)}{trace}", one_line=True)


def write_export(turns: Sequence[TurnRecord], *, html: bool, output: Path | None, redacted: bool) -> None:
    """Write turns as a page or as JSON to a file that only its owner can read, or to stdout."""
    from ...emulator.playground.export import export_page
    from ...emulator.playground.figures import whole
    from ...observability.privacy.masked_export import masked_rows
    from ...output.files import write_file
    from ...settings.folders import make_private

    if html:
        text = export_page(turns, redacted=redacted)
    else:
        rows = from_json(to_json([turn_json(turn) | {"record": whole(turn)} for turn in turns]))
        text = json_text(masked_rows(rows) if redacted else rows, indent=2)
    if output == Path("-"):
        print_file(text)
        return
    path = output or export_path(turns[0].conversation_id, "html" if html else "json")
    try:
        make_private(path)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}. Name a file with --output.") from error
    write_file(path, text)
    print_line(f"Wrote {path}.")


def forget_caller(caller: str, store: str | None, *, yes: bool, as_json: bool) -> None:
    """Show the notes of a caller and delete them. Raises NotRecordedError if there are none."""
    from ...journal.forget import forget_notes, notes_of
    from ...output.terminal import confirm

    notes = with_journal(store, lambda journal: notes_of(journal, caller))
    if not notes:
        # Forget the caller even without notes: a pending job may be about to take notes on the last call.
        with_journal(store, lambda journal: forget_notes(journal, caller))
        raise NotRecordedError(f"There are no notes of caller {caller!r}.")
    if not as_json:
        for note in notes:
            print_block("  Note: ", note)
    if not yes:
        confirm(f"Delete everything noted about {caller}?", err=True)
    with_journal(store, lambda journal: forget_notes(journal, caller))
    if as_json:
        print_json({"caller": caller, "notes": notes})
        return
    print_block("", f"Deleted {counted(len(notes), 'note')} of {caller}.", one_line=True)


def print_forgotten(done: Forgotten, *, as_json: bool) -> None:
    """Print what was deleted. Raises NotRecordedError if there was nothing."""
    if not done.anything:
        raise NotRecordedError(
            f"Conversation {done.conversation_id!r} is not recorded. `sessions list` shows the recorded ones."
        )
    if as_json:
        print_json(done.as_json())
        return
    what = f"{counted(done.turns, 'turn')} of {done.conversation_id}, and {counted(len(done.files), 'file')}"
    print_block("", f"Deleted {what}.", one_line=True)
    for path in done.files:
        print_line(f"  {path}")
