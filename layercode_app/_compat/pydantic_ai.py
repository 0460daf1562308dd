"""Access private parts of PydanticAI: prompts, outputs, hooks and instrumentation of agents, events, timeouts."""

from __future__ import annotations

import weakref
from collections.abc import AsyncIterator, Sequence
from copy import copy
from traceback import walk_tb
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pydantic_ai.capabilities import AbstractCapability
    from pydantic_ai.models import StreamedResponse

UNKNOWN: Final = object()
"""The result of `default_instrumentation` if the installed release of PydanticAI does not expose the settings."""


def default_instrumentation() -> Any:
    """Return the argument of the last call of `Agent.instrument_all`: settings, True or False.

    Return UNKNOWN if the installed release of PydanticAI does not expose this argument. Then this package always sets
    its own settings again. And the run of a turn has two capabilities, TurnTools and PydanticAI's instrumentation,
    instead of one capability that combines both.
    """
    from pydantic_ai import Agent

    return getattr(Agent, "_instrument_default", UNKNOWN)


def can_replace_events(stream: StreamedResponse) -> bool:
    """Return whether the events of a stream can be replaced.

    If not, an event that was read early could not be put back into the stream. So the first event is not read early,
    and a stream that fails before its first event is not retried.
    """
    return hasattr(stream, "_event_iterator")


def replace_events(stream: StreamedResponse, events: AsyncIterator[Any]) -> None:
    """Make a stream yield these events. PydanticAI can still set a deadline for the request afterwards.

    The first event of the stream was read before this function is called, and PydanticAI refuses to set a deadline for
    a stream that was already read. This function therefore replaces the stream's method that sets the deadline. The new
    method applies the deadline to the events that are still to come.

    If a capability, such as ModelFallback, handles failed requests, PydanticAI itself reads the first event early. This
    is no problem, because PydanticAI sets the deadline before it reads this event.
    """
    stream._event_iterator = events
    kept = weakref.ref(stream)  # The stream refers to the function below.

    def enforce(deadline: Any) -> None:
        if (read := kept()) is not None:
            read._event_iterator = deadline.iterate(events)

    vars(stream)["_enforce_request_deadline"] = enforce


def handles_failed_requests(capability: AbstractCapability[Any]) -> bool:
    """Return whether a capability, such as ModelFallback, handles failed model requests.

    If so, PydanticAI opens each request, and the capability is told of a failure before the toolkit retries the request.

    `Hooks` handle failed requests only if a hook for them is registered. If the installed release of PydanticAI does
    not tell whether such a hook is registered, the result is True for all `Hooks`. It is also True for a function that
    returns a capability for each run, because this capability is not known before the run.
    """
    from pydantic_ai.capabilities import AbstractCapability, DynamicCapability

    if isinstance(capability, DynamicCapability):
        return True
    overrides = type(capability).on_model_request_error is not AbstractCapability.on_model_request_error
    return bool(getattr(capability, "_has_on_model_request_error", overrides))


def has_hook(capability: AbstractCapability[Any], name: str) -> bool:
    """Return whether a capability, or one inside it, has its own code for a hook, such as `after_model_request`.

    Code of PydanticAI does not count, except `Hooks` for which such a hook is registered. If the installed release of
    PydanticAI does not tell which hooks are registered, `Hooks` do not count either. A capability that a function returns
    for each run is not known before the run, so it does not count.
    """
    if not getattr(type(capability), name).__module__.startswith("pydantic_ai."):
        return True
    inside = [*getattr(capability, "capabilities", ()), getattr(capability, "wrapped", None)]
    registered = getattr(capability, "_registry", {})
    return bool(registered.get(name)) or any(has_hook(one, name) for one in inside if one is not None)


def resolves_per_run(toolset: Any) -> bool:
    """Return whether each run opens its own connection to an MCP server, with its own credentials.

    If the installed release of PydanticAI does not tell, return True. Then each turn opens its own connection, and
    callers share no session.
    """
    return bool(getattr(toolset, "_resolves_per_run", True))


def instructions(agent: Any) -> list[Any]:
    """Return an agent's own instructions: str, `InstructionPart` or functions.

    The list is empty if the installed release of PydanticAI does not expose them.
    """
    return _unwrapped(getattr(agent, "_instructions", None))


def capability_instructions(agent: Any) -> list[Any]:
    """Return the instructions that come from an agent's capabilities.

    The list is empty if the installed release of PydanticAI does not expose them.
    """
    return _unwrapped(getattr(agent, "_cap_instructions", None))


def _unwrapped(parts: Sequence[Any] | None) -> list[Any]:
    return [getattr(part, "instruction", part) for part in parts or ()]


def system_prompts(agent: Any) -> list[Any] | None:
    """Return an agent's system prompts, and its functions that return system prompts; None if they are not exposed.

    With None, the system prompts are sent as instructions, never as part of the history.
    """
    if not hasattr(agent, "_system_prompts"):
        return None
    return [*agent._system_prompts, *getattr(agent, "_system_prompt_functions", ())]


def output_validators(agent: Any) -> Sequence[Any] | None:
    """Return the output validators of an agent; None if the installed release of PydanticAI does not expose them.

    If the result is None, text is spoken while it streams, although a validator may still reject the complete text.

    A tool call can wait for an approval only if DeferredToolRequests is an output type of the run. PydanticAI raises an
    error if output types are added to a run of an agent with validators. So if the result is None, this type is added
    only if a tool is known before the run to need an approval (see `needs_confirmation`).
    """
    found: Sequence[Any] | None = getattr(agent, "_output_validators", None)
    return found


def prepare_output(agent: Any, output_type: list[Any]) -> None:
    """Let an agent build the schemas of this output type now, instead of in each run that gets the same list.

    PydanticAI builds the schemas of the agent's own output type only once, but the schemas of any other output type in
    each run. This takes milliseconds if the types are nested models. If a release of PydanticAI builds the schemas
    elsewhere, this function has no effect, and each run builds them again.
    """
    build = getattr(agent, "_prepare_output_schema", None)
    if build is None:
        return
    schema = build(output_type)

    def prepared(given: Any) -> Any:
        if given is not output_type:
            return build(given)
        own = copy(schema)
        own.toolset = copy(schema.toolset)  # Each run sets its number of retries in it.
        return own

    vars(agent)["_prepare_output_schema"] = prepared


def stopped_by_timeout(error: BaseException) -> bool:
    """Return whether PydanticAI raised this error because it stopped a tool at the timeout of the tool or its agent.

    When PydanticAI stops a tool, it raises ModelRetry, which asks the model to call the tool again. A tool may raise
    ModelRetry itself, for example after a timeout inside the tool. Such a tool was not stopped. So the result is True
    only if code of the package `pydantic_ai` raised the ModelRetry. If a release of PydanticAI raises it in another
    package, the result is False, and the changes of the stopped tool are not undone.

    The result is also False if the error comes from a helper agent that the tool runs, even if a tool of the helper
    agent timed out.
    """
    from pydantic_ai import ModelRetry

    retry = _own_retry(error)
    if not isinstance(retry, ModelRetry) or _in_inner_call(retry) or not isinstance(retry.__context__, TimeoutError):
        return False
    modules = _modules(retry)
    return bool(modules) and modules[-1].startswith("pydantic_ai.")


def _own_retry(error: BaseException) -> BaseException | None:
    """Return the error that asks the model to call the failed tool again: usually a ModelRetry."""
    from pydantic_ai.exceptions import ToolRetryError, UnexpectedModelBehavior

    cause: BaseException | None = error
    while isinstance(cause, ToolRetryError):  # The error of an identical tool call is the cause of another one.
        cause = cause.__cause__
    if isinstance(cause, UnexpectedModelBehavior) and not _in_inner_call(cause):
        return cause.__cause__  # The tool may not be called again, because it has failed too often.
    return cause


def _in_inner_call(error: BaseException) -> bool:
    """Return whether the error comes from a tool call inside the tool, such as a tool call of a helper agent.

    PydanticAI's tool manager calls a toolset, and the toolset runs the tool. So if the tool called a tool itself, the
    traceback has a tool manager after a toolset. If a release of PydanticAI moves these modules, the result is False.
    """
    modules = _modules(error)
    outer = next((n for n, name in enumerate(modules) if name.startswith("pydantic_ai.toolsets.")), len(modules))
    return "pydantic_ai.tool_manager" in modules[outer:]


def _modules(error: BaseException) -> list[str]:
    """Return the names of the modules in the traceback of an error, the innermost last."""
    return [str(frame.f_globals.get("__name__")) for frame, _ in walk_tb(error.__traceback__)]
