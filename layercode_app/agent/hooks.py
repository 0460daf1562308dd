"""The hooks of a voice agent: async functions, refused where they are registered when they are not."""

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
    """Raise HookError, with the mend, unless the function is async (or, where `stream`, an async generator)."""
    if inspect.iscoroutinefunction(function) or (stream and inspect.isasyncgenfunction(function)):
        return
    shown = getattr(function, "__qualname__", repr(function))
    if not callable(function):
        raise HookError(f"{name} was given {shown}; expected an async function. Write: async def ...")
    raise HookError(f"{name}: {shown} is a plain function and would block every call. Write `async def {shown}(...)`.")


async def speak_answer(
    answer: Any, say: Callable[[str], Awaitable[None]], hook: str, *, say_last: Callable[[str], None] | None = None
) -> None:
    """Speak what an `on_message` hook or a greeting answered: a text, pieces of text as they come, or nothing.

    `say_last` is for a text after which nothing comes; pieces are never held, since the next may take its time.
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
        # In this task: a generator that is closed by the garbage collector leaves its contexts in another one.
        if isinstance(answer, AsyncGeneratorType):
            await answer.aclose()
