"""The tools of the MCP server. Some read the journal, others run an agent."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, TypeAlias

from mcp.server.mcpserver.exceptions import ToolError
from pydantic import Field

from ...exceptions import LayerCodeError
from ...journal.open import open_journal
from ...journal.read import summary_of, turns_of
from ...journal.record import Json
from ...journal.record_json import from_json, to_json
from ...journal.stores.base import Store
from ...observability.privacy.masked_export import redact
from ...output.visible import json_text, shortened
from ...replay.fork import Changes
from ...reports.conversations import is_spoken, summary_json
from ...reports.report import By, beginning, make_report
from ...settings import Settings
from . import runs
from .bounded import ANSWER_BYTES, fitted, page, size
from .masked import Masked
from .search import search

LONGEST_ID = 200
LONGEST_ERROR = 500
FURTHEST = 1_000_000

Id: TypeAlias = Annotated[str, Field(description="The conversation's id, as list_conversations shows it.")]
Limit: TypeAlias = Annotated[int, Field(ge=1, le=100, description="Maximum number of rows.")]
Offset: TypeAlias = Annotated[int, Field(ge=0, le=FURTHEST, description="Number of rows to skip.")]
Model: TypeAlias = Annotated[
    str, Field(description="Model to use instead of the agent's; `offline` plays the agent's script without a model.")
]


class Tools:
    """The tools of the server. Each use opens the journal again, so an assistant sees calls that have just ended."""

    def __init__(self, settings: Settings, agents_dir: Path | None) -> None:
        self._settings = settings
        self._agents_dir = agents_dir

    async def list_conversations(self, limit: Limit = 20, offset: Offset = 0) -> str:
        """List the most recent conversations, newest first: id, agent, number of turns, times."""
        async with self._journal() as journal:
            found = (await journal.conversations(limit=offset + limit + 1))[offset:]
            rows = [summary_json(summary) for summary in found[:limit]]
            return json_text(page(rows, offset=offset, more=len(found) > limit))

    async def show_conversation(self, conversation_id: Id, limit: Limit = 10, offset: Offset = 0) -> str:
        """Show a conversation turn by turn, oldest first: what was said and heard, tools, timings, cost, errors."""
        async with self._journal() as journal:
            turns = await turns_of(journal, _known(conversation_id), bodies=True)
            masked = Masked(turns)
            rows = masked.turns(turns[offset : offset + limit])
            told = {"conversation_id": conversation_id, "turns": len(turns)}
            if not offset and (summary := await summary_of(journal, conversation_id)):
                told["summary"] = fitted(masked.value(from_json(to_json(summary))))
            return json_text(told | _rest(rows, offset, limit, len(turns), size(told)))

    async def explain_conversation(self, conversation_id: Id, limit: Limit = 20, offset: Offset = 0) -> str:
        """Explain each turn of a conversation: why it was slow, silent, cut off or failed, and what took time."""
        async with self._journal() as journal:
            turns = await turns_of(journal, _known(conversation_id), bodies=True)
            masked = Masked(turns)
            spoken = [turn for turn in turns if is_spoken(turn)]
            rows = [masked.explained(turn) for turn in spoken[offset : offset + limit]]
            told = {"conversation_id": conversation_id, "turns": len(spoken)}
            return json_text(told | _rest(rows, offset, limit, len(spoken), size(told)))

    async def search_conversations(
        self,
        text: Annotated[
            str,
            Field(
                min_length=2, max_length=200, description="Text to find in spoken words, tools, errors and outcomes."
            ),
        ],
        limit: Limit = 10,
        offset: Annotated[int, Field(ge=0, le=FURTHEST, description="Number of newest conversations to skip.")] = 0,
    ) -> str:
        """Search recorded speech, tools, errors and outcomes. Personal details and their replacements are not found."""
        async with self._journal() as journal:
            found = await search(journal, text, limit=limit, offset=offset)
            return json_text(fitted(found, ANSWER_BYTES))

    async def report(
        self,
        since: Annotated[
            str, Field(description="A duration such as 24h or 7d, a day such as 2026-01-31, or all.")
        ] = "7d",
        by: By = "agent",
        limit: Limit = 20,
        offset: Annotated[int, Field(ge=0, le=FURTHEST, description="Number of groups to skip.")] = 0,
    ) -> str:
        """Report latency, cost, errors, interruptions, outcomes and scores of a period, in groups."""
        async with self._journal() as journal:
            made = await make_report(journal, since=beginning(since), by=by)
        told = from_json(to_json(made.as_json()))
        groups = [_group(group, by) for group in told.pop("groups")]
        rest: dict[str, Json] = fitted(redact(told), ANSWER_BYTES // 2)
        shown = _rest(groups[offset : offset + limit], offset, limit, len(groups), size(rest))
        return json_text(rest | {"number_of_groups": len(groups), "groups": shown.pop("rows")} | shown)

    async def run_scenario(
        self,
        file: Annotated[
            str,
            Field(max_length=LONGEST_ERROR, description="A scenario file of the project, such as evals/bakery.yaml."),
        ],
        scenario: Annotated[str, Field(description="Name of one scenario. Default: all of the file.")] = "",
        model: Model = "",
        repeat: Annotated[int, Field(ge=1, le=20, description="Repetitions per scenario.")] = 1,
        max_cost: Annotated[
            float,
            Field(gt=0, le=100, description="Start no further run once the runs so far have cost this many dollars."),
        ] = 1.0,
    ) -> str:
        """Run the scenarios of a file against the agent, and tell which passed and why the others failed."""
        async with _told():
            told = await runs.run_scenarios(
                file, scenario, agents=self._agents_dir, model=model or None, repeat=repeat, max_cost=max_cost
            )
            return json_text(fitted(told, ANSWER_BYTES))

    async def fork_conversation(
        self,
        conversation_id: Id,
        turn: Annotated[
            str,
            Field(max_length=LONGEST_ID, description="Turn to start from: its id or number. Turn 1 is the greeting."),
        ],
        say: Annotated[
            tuple[str, ...],
            Field(
                max_length=20,
                description="Words that replace the caller's recorded words from this turn on, one text per turn.",
            ),
        ] = (),
        prompt: Annotated[str, Field(description="Another prompt for the agent.")] = "",
        model: Model = "",
        rest: Annotated[bool, Field(description="Continue with the caller's recorded words.")] = False,
    ) -> str:
        """Answer a recorded turn again with other words of the caller, another prompt or another model.

        Tools return their recorded results, and the journal is not changed.
        """
        async with self._journal() as journal:
            changes = Changes(say=say, prompt=prompt or None, model=model or None, rest=rest)
            told = await runs.fork_conversation(
                journal, _known(conversation_id), turn, changes, settings=self._settings, agents=self._agents_dir
            )
            return json_text(fitted(told, ANSWER_BYTES))

    @asynccontextmanager
    async def _journal(self) -> AsyncIterator[Store]:
        async with _told(), open_journal(self._settings.store) as journal:
            yield journal


@asynccontextmanager
async def _told() -> AsyncIterator[None]:
    """Within the block, turn a LayerCodeError into a ToolError, whose text the SDK shows to the assistant.

    The SDK hides the text of all other errors. They may quote a caller.
    """
    try:
        yield
    except LayerCodeError as error:
        raise ToolError(shortened(redact(str(error)[: 2 * LONGEST_ERROR]), LONGEST_ERROR)) from error


def _known(conversation_id: str) -> str:
    """Return `conversation_id` unchanged. Raises ToolError if it cannot be the id of a conversation."""
    if not conversation_id.isprintable() or not 0 < len(conversation_id) <= LONGEST_ID:
        # Cut first: masking a very long text is slow.
        shown = shortened(redact(conversation_id[:LONGEST_ID]), 40)
        raise ToolError(f"{shown!r} is not a conversation's id; expected an id that list_conversations shows.")
    return conversation_id


def _rest(rows: list[Json], offset: int, limit: int, total: int, used: int) -> dict[str, Json]:
    return page(rows, offset=offset, more=offset + limit < total, most=ANSWER_BYTES - used)


def _group(group: Json, by: By) -> Json:
    """Mask the personal details in a group of the report.

    A key that is a conversation id, a model or a version is not masked.
    """
    return redact(group) | ({"key": group["key"]} if by in ("conversation", "model", "version") else {})
