"""Run the tool calls of a turn: record them first, apply a timeout, and cancel or finish them on interruption.

A tool call with the same tool and arguments as another tool call of the same response gets the result of that call.
`TurnTools` also cleans the model's responses: it removes blank text, and separates reasoning from the text.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic_ai import DeferredToolResults
from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.exceptions import (
    ApprovalRequired,
    CallDeferred,
    ModelRetry,
    SkipToolExecution,
    ToolFailed,
    ToolFailedError,
    ToolRetryError,
)

from .._compat.pydantic_ai import stopped_by_timeout
from ..conversation.delivery import CrashedTurnError
from ..conversation.portable_messages import sendable
from ..conversation.tool_call_ids import with_new_ids
from ..conversation.turn import Turn
from ..journal.record import ToolCall
from ..journal.record_json import sorted_json
from ..observability.debug_run import log_tool
from .consent import Consent
from .plain_messages import clean_refusal, clean_response, clean_result, jsonable, refusal_of
from .prompt_changes import note_changes
from .speakable import without_silent_text
from .stage_run import without_other_stages
from .think_tags import without_thoughts
from .tool_policy import DEFAULT_POLICY

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from pydantic_ai.messages import ModelResponse
    from pydantic_ai.toolsets import AbstractToolset

    from .speakable import Speakable
    from .voice_agent import VoiceAgent


@dataclass
class TurnTools(AbstractCapability[Any]):
    """A PydanticAI capability that handles the tool calls and the model requests of one turn."""

    voice: VoiceAgent[Any, Any]
    turn: Turn[Any, Any]
    consent: Consent
    _results: dict[tuple[str, bytes], tuple[asyncio.Future[Any], set[str]]] = field(default_factory=dict, init=False)
    """The results of the current response's tool calls, by tool and arguments, and the ids of the calls that have them."""
    _asked_again: bool = field(default=False, init=False)
    """Whether a response of this run was silent, so that the model was asked again."""

    async def after_model_request(self, ctx: Any, *, request_context: Any, response: ModelResponse) -> ModelResponse:
        """Clean a complete response before its tools run and before it becomes part of the next request.

        Reasoning within the text is moved into separate parts, and text that cannot be spoken is removed. The caller has
        heard neither. Tool calls whose ids were used before get new ids.
        """
        response = without_thoughts(clean_response(response))
        if self.voice.speakable is not None and self.voice.speak is None:
            response = self._without_silent_text(response, self.voice.speakable)
        return with_new_ids(response, request_context.messages)

    def _without_silent_text(self, response: ModelResponse, speakable: Speakable) -> ModelResponse:
        """Remove silent text, so that the model is asked again.

        If the turn has already said something, the model is asked only once, and not at all before a hang-up.
        """
        live = self.turn.live
        if live.spoken.more_than_fillers and (self._asked_again or live.hang_up.asked):
            return response
        emptied = without_silent_text(response, speakable)
        self._asked_again = self._asked_again or (emptied is not response and not response.tool_calls)
        return emptied

    async def before_model_request(self, ctx: Any, request_context: Any) -> Any:
        """Remove or replace the parts of the messages that a provider would refuse."""
        self.turn.live.run.stage = self.turn.stage
        self.turn.live.run.tools = request_context.model_request_parameters.function_tools
        self._results.clear()
        request_context.messages = sendable(request_context.messages)
        note_changes(self.turn, request_context.model_request_parameters, remembers=self.voice.remembers)
        return request_context

    def get_wrapper_toolset(self, toolset: AbstractToolset[Any]) -> AbstractToolset[Any] | None:
        """Return the toolset without the tools of other stages, and with the MCP servers that the worker keeps open.

        These servers replace those in `toolset`. The tools in `confirm` need an approval. Return None if nothing has to
        be changed.
        """
        servers, kept = self.voice.tool_servers, toolset
        if servers:
            from .tool_servers import KeptTools

            kept = toolset.visit_and_replace(
                lambda leaf: KeptTools(leaf, servers[id(leaf)]) if id(leaf) in servers else leaf
            )
        if self.voice.stages.claimed:
            kept = without_other_stages(self.voice, self.turn, kept)
        if self.voice.confirm:
            kept = kept.prepared(self.consent.unapproved)
        return None if kept is toolset else kept

    async def handle_deferred_tool_calls(self, ctx: Any, *, requests: Any) -> Any:
        """Approve each tool call that the caller was asked to confirm, and that the model repeats after the answer."""
        agreed = [call.tool_call_id for call in requests.approvals if await self.consent.to(call)]
        return DeferredToolResults(approvals=dict.fromkeys(agreed, True)) if agreed else None

    async def wrap_tool_execute(self, ctx: Any, *, call: Any, tool_def: Any, args: Any, handler: Any) -> Any:
        """Record the tool call, save a checkpoint, and run the tool according to its policy.

        Raise ApprovalRequired if the caller must confirm this tool call and has not confirmed it yet.
        """
        if call.tool_name in self.voice.confirm and not await self.consent.to(call):
            raise ApprovalRequired  # A capability of the agent has approved the call, but only the caller can.
        record, live = self.turn.record, self.turn.live
        policy = self.voice.tools.get(call.tool_name, DEFAULT_POLICY).interruption
        started = live.elapsed_ms()
        entry = ToolCall(call.tool_call_id, call.tool_name, jsonable(args), started, policy=policy, effects={})
        record.tools.append(entry)
        if call.tool_call_id in self.consent.given or self.consent.asked_about(call):
            record.pending = None  # From here on the call may have taken effect, so no answer may run it again.
        if live.run.tool_started is not None:
            live.run.tool_started()
        await self._may_run(entry)
        live.spoken.begin_segment()
        self._notice(entry)
        stand_in = live.run.stand_in(entry) if live.run.stand_in else None
        work = _cleaned(stand_in) if stand_in else self._once(entry, handler, args)
        try:
            if policy == "cancel":
                return await self._undoable(entry, work)
            return await self._finishing(entry, work)
        finally:
            self._notice(entry)

    async def wrap_output_process(self, ctx: Any, *, output_context: Any, output: Any, handler: Any) -> Any:
        """Run an output function. If it hangs up or hands the call over, a guard can undo this, as for a tool."""
        if not output_context.has_function:
            return await handler(output)
        with self.turn.live.in_output_function():
            return await handler(output)

    async def _may_run(self, entry: ToolCall) -> None:
        """Save a checkpoint. Raise an error if no tool may run: the turn runs on another worker, or it has ended."""
        try:
            if await self.turn.live.checkpoint():
                return
        except CrashedTurnError:
            self._not_started(entry)
            raise
        self._not_started(entry)
        await asyncio.sleep(0)  # Usually raises the CancelledError, because the turn was stopped.
        raise asyncio.CancelledError

    def _not_started(self, entry: ToolCall) -> None:
        self._remove(entry)
        self.turn.live.run.not_started |= {entry.id}

    def _remove(self, entry: ToolCall) -> None:
        """Remove from the record a tool call that did not run."""
        self.turn.record.tools = [call for call in self.turn.record.tools if call is not entry]

    def _once(self, entry: ToolCall, handler: Any, args: Any) -> Awaitable[Any]:
        """Return an awaitable that runs the tool, or that waits for an identical call of the same response.

        If the same call is executed again, the tool runs again: a capability of the agent retries it, or has approved it.
        """
        key = (entry.name, sorted_json(entry.args))
        shared, calls = self._results.get(key, (None, {entry.id}))
        if shared is not None and entry.id not in calls:
            calls.add(entry.id)
            return _result_of(shared, entry.id)
        shared = asyncio.get_running_loop().create_future()
        self._results[key] = shared, {entry.id}
        return _sharing(shared, handler(args))

    async def _undoable(self, entry: ToolCall, work: Awaitable[Any]) -> Any:
        """Run the tool, then save its effects. If it is cancelled or times out, its changes are undone."""
        live = self.turn.live
        result = await self._timed(entry, work)
        if not live.ending:
            live.check_state()
        await live.checkpoint()
        return result

    async def _timed(self, entry: ToolCall, work: Awaitable[Any]) -> Any:
        """Run the tool and record its result or error. After a timeout, raise ToolFailed, with a text for the model."""
        live = self.turn.live
        try:
            # `undoable` is inside the timeout, so that a timeout reaches it as a cancellation.
            async with asyncio.timeout(live.run.tool_timeout):
                with live.undoable(entry.effects, like_cancelled=_was_stopped):
                    result = await work
        except asyncio.CancelledError:
            entry.status, entry.ended_ms = "cancelled", live.elapsed_ms()
            raise
        except TimeoutError:
            entry.status, entry.ended_ms, entry.result = "failed", live.elapsed_ms(), "timed out"
            raise ToolFailed(f"{entry.name} took longer than {live.run.tool_timeout:g} s and was given up.") from None
        except (ApprovalRequired, CallDeferred):
            entry.status, entry.ended_ms = "cancelled", live.elapsed_ms()
            self._remove(entry)
            raise
        except SkipToolExecution as skipped:  # A hook of the agent gave the result in place of the tool.
            skipped.result = clean_result(skipped.result)
            entry.status, entry.ended_ms, entry.result = "done", live.elapsed_ms(), jsonable(skipped.result)
            raise
        except BaseException as error:
            reason = "timed out" if stopped_by_timeout(error) else type(error).__name__
            entry.status, entry.ended_ms, entry.result = "failed", live.elapsed_ms(), reason
            clean_refusal(error)
            if not isinstance(error, ModelRetry | ToolFailed):
                error.layercode_category = "tool"  # type: ignore[attr-defined]
            raise
        entry.status, entry.ended_ms, entry.result = "done", live.elapsed_ms(), jsonable(result)
        if self.voice.stages:
            with live.undoable():  # The move is final, even if another tool is cancelled.
                self.voice.stages.follow(self.turn)
        return result

    async def _finishing(self, entry: ToolCall, work: Awaitable[Any]) -> Any:
        """Run the tool in a separate task, which an interruption does not cancel."""
        task = asyncio.ensure_future(self._undoable(entry, work))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if not task.done():
                self.turn.finish_in_background(self._wait_for(entry, task), entry)
            raise

    async def _wait_for(self, entry: ToolCall, task: asyncio.Future[Any]) -> None:
        """Wait for a tool that outlived its turn, and log its error."""
        await asyncio.wait({task})
        if not task.cancelled() and (error := task.exception()) is not None:
            self.turn.log.opt(exception=error).error("{} failed after the interruption", entry.name)

    def _notice(self, entry: ToolCall) -> None:
        log_tool(entry)
        if self.voice.notices:
            self.turn.data({"tool": {"name": entry.name, "status": entry.status}})


class _SharedTimeoutError(TimeoutError):
    """A tool call timed out while an identical call waited for its result. The waiting call raises this error."""


def _was_stopped(error: BaseException) -> bool:
    """Return whether a timeout stopped the tool. In this case, its changes must be undone.

    The tool call may have waited for the result of an identical tool call. If the timeout stopped that tool call, the
    changes of both are undone, because either of them may have made the changes.
    """
    return isinstance(error, _SharedTimeoutError) or stopped_by_timeout(error)


async def _cleaned(work: Awaitable[Any]) -> Any:
    return clean_result(await work)


async def _sharing(shared: asyncio.Future[Any], work: Awaitable[Any]) -> Any:
    """Await `work`. Pass its result or error to the identical tool calls of the same response, which wait for it."""
    try:
        result = await _cleaned(work)
    except BaseException as error:
        if isinstance(error, Exception):
            shared.set_exception(error)
            shared.exception()  # Retrieve the error: it is raised here, so asyncio must not log it again.
        else:
            shared.cancel()
        raise
    shared.set_result(result)
    return result


async def _result_of(shared: asyncio.Future[Any], call_id: str) -> Any:
    """Wait for the result of an identical tool call. Raises TimeoutError if that tool call times out.

    If the identical tool call fails, its error is raised as the error of the tool call with the id `call_id`.
    """
    try:
        return await asyncio.shield(shared)
    except (ToolRetryError, ToolFailedError) as error:
        raise refusal_of(error, call_id) from error
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if shared.cancelled() and task is not None and not task.cancelling():
            raise _SharedTimeoutError from None
        raise
