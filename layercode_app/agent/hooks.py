"""The hooks of a voice agent: check that they are async when they are registered, and speak what they answer."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from types import AsyncGeneratorType
from typing import Any, Literal, TypeAlias, TypeVar

from ..exceptions import HookError

HookName: TypeAlias = Literal[
    "message", "thinking", "session_start", "data", "session_update", "session_end", "event", "authorize"
]
Hook: TypeAlias = Callable[..., Any]
HookT = TypeVar("HookT", bound=Callable[..., Awaitable[Any]])
SpeakingHookT = TypeVar("SpeakingHookT", bound=Callable[..., Awaitable[str | None] | AsyncIterator[str]])


def check_hook(name: str, function: object, *, stream: bool = False) -> None:
    """Raise HookError, which shows the fix, unless the function is async. `stream` also allows an async generator."""
    if inspect.iscoroutinefunction(function) or (stream and inspect.isasyncgenfunction(function)):
        return
    shown = getattr(function, "__qualname__", repr(function))
    if not callable(function):
        raise HookError(f"{name} was given {shown}; expected an async function. Write: async def ...")
    raise HookError(f"{name}: {shown} is a plain function and would block every call. Write `async def {shown}(...)`.")


async def speak_answer(
    answer: Any, say: Callable[[str], Awaitable[None]], hook: str, *, say_last: Callable[[str], None] | None = None
) -> None:
    """Speak the answer of a hook or a greeting: a text, a stream of pieces, or None for nothing.

    `say_last` speaks a whole text, which is the last of the turn. Pieces are always sent at once with `say`, because
    the next one may be slow. Raises HookError for an answer of another type.
    """
    if not isinstance(answer, AsyncGeneratorType) and inspect.isawaitable(answer):
        answer = await answer
    if answer is None:
        return
    if isinstance(answer, str):
        await say(answer) if say_last is None else say_last(answer)
        return
    if not hasattr(answer, "__aiter__"):
        raise HookError(
            f"{hook} answered a {type(answer).__name__}; expected a str, an async iterator of str, or None."
        )
    try:
        async for piece in answer:
            if not isinstance(piece, str):
                raise HookError(f"{hook} yielded a {type(piece).__name__}; expected str.")
            await say(piece)
    finally:
        # Close the generator in this task: the garbage collector would leave the generator's contexts in another one.
        if isinstance(answer, AsyncGeneratorType):
            await answer.aclose()
