"""Check the hooks of a voice agent when they are registered, and speak their answers."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from types import AsyncGeneratorType
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar

from ..conversation.lasting import lasting, lasting_step
from ..exceptions import HookError

if TYPE_CHECKING:
    from ..conversation.turn import Turn

HookName: TypeAlias = Literal[
    "message", "thinking", "session_start", "data", "session_update", "session_end", "event", "authorize"
]
PARAMETERS: dict[HookName, tuple[str, ...]] = {
    "message": ("turn",),
    "thinking": ("turn",),
    "session_start": ("turn",),
    "data": ("turn", "data"),
    "session_update": ("event",),
    "session_end": ("event",),
    "event": ("event",),
    "authorize": ("request",),
}
"""The arguments that each hook is called with."""
Hook: TypeAlias = Callable[..., Any]
HookT = TypeVar("HookT", bound=Callable[..., Awaitable[Any]])
SpeakingHookT = TypeVar("SpeakingHookT", bound=Callable[..., Awaitable[str | None] | AsyncIterator[str]])


def check_hook(name: str, function: object, parameters: Sequence[str] | None = None, *, stream: bool = False) -> None:
    """Raise HookError, which shows the fix, unless the function is async and accepts `parameters`.

    Without `parameters`, check only that the function is async. `stream` also allows an async generator.
    """
    if inspect.iscoroutinefunction(function) or (stream and inspect.isasyncgenfunction(function)):
        if parameters is not None:
            check_parameters(name, function, parameters)
        return
    shown = getattr(function, "__qualname__", repr(function))
    if not callable(function):
        raise HookError(f"{name} was given {shown}; expected an async function. Write: async def ...")
    raise HookError(f"{name}: {shown} is a plain function and would block every call. Write `async def {shown}(...)`.")


def check_script(script: object) -> None:
    """Raise HookError, which shows the fix, unless the script is an async generator function that takes the scene."""
    shown = getattr(script, "__qualname__", repr(script))
    wrong = "not a function" if not callable(script) else ""
    wrong = wrong or ("an async function without `yield`" if inspect.iscoroutinefunction(script) else "")
    wrong = wrong or ("a plain generator" if inspect.isgeneratorfunction(script) else "")
    if wrong:
        raise HookError(
            f"offline: {shown} is {wrong}; expected an async generator. Write `async def {shown}(scene)`, and `yield` "
            "each text and each tool call."
        )
    check_parameters("offline", script, ("scene",))


def check_parameters(name: str, function: Any, parameters: Sequence[str]) -> None:
    """Raise HookError unless the function can be called with these arguments, in this order."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # a builtin without a signature
        return
    try:
        signature.bind(*parameters)
    except TypeError:
        raise HookError(_wrong_parameters(name, function, signature, ", ".join(parameters))) from None


def _wrong_parameters(name: str, function: object, signature: inspect.Signature, expected: str) -> str:
    shown = getattr(function, "__qualname__", repr(function))
    is_async = inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)
    taken = ", ".join(signature.parameters)
    fix = f"{'async ' if is_async else ''}def {shown}({expected})"
    return f"{name}: {shown}({taken}) must take ({expected}). Write `{fix}`."


async def speak_answer(
    turn: Turn[Any, Any],
    hook: Callable[[Turn[Any, Any]], Any],
    name: str,
    say: Callable[[str], Awaitable[None]],
    *,
    say_last: Callable[[str], None] | None = None,
) -> None:
    """Call a hook or a greeting, and speak its answer: a text, a stream of pieces, or None for nothing.

    `say` speaks each piece of a stream at once, because the next piece may be slow. If the answer is one text,
    `say_last` speaks it (or `say`, if `say_last` is not given), because no other text follows in the turn.

    Raises HookError, with the `name` of the hook, for an answer of another type.
    """
    with lasting_step(turn.live):
        answer = hook(turn)
    if not isinstance(answer, AsyncGeneratorType) and inspect.isawaitable(answer):
        answer = await lasting(turn.live, answer)
    if answer is None:
        return
    if isinstance(answer, str):
        await say(answer) if say_last is None else say_last(answer)
        return
    if not hasattr(answer, "__aiter__"):
        raise HookError(
            f"{name} returned a {type(answer).__name__}; expected a str, an async iterator of str, or None."
        )
    try:
        pieces, ended = aiter(answer), object()
        while (piece := await lasting(turn.live, anext(pieces, ended))) is not ended:
            if not isinstance(piece, str):
                raise HookError(f"{name} yielded a {type(piece).__name__}; expected str.")
            await say(piece)
    finally:
        # Close the generator in this task: the garbage collector would exit the generator's contexts in another task.
        if isinstance(answer, AsyncGeneratorType):
            await answer.aclose()
