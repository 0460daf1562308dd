"""Callers without a model: rules that wait for words of the agent, or a function that chooses each line."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from ....agent.importing import import_module
from ....exceptions import AgentNotFoundError, CallerError, ConfigurationError
from .caller_spec import CallerSpec, Rule
from .mind import Hearing, Mind, Move
from .patterns import heard_in

Function: TypeAlias = Callable[[Hearing], "str | Awaitable[str | None] | None"]
"""Returns what the caller says, an empty text to stay silent, or None to hang up."""
Invoke: TypeAlias = Callable[[Function, Hearing], Awaitable[Any]]
"""Invokes a function, for example in a thread."""


async def _at_once(function: Function, hearing: Hearing) -> Any:
    return function(hearing)


class Rules:
    """A mind that says the line of the first unused rule that fits, and hangs up if no rule fits.

    A rule fits if it has no `when`, or if its `when` was heard.
    """

    def __init__(self, rules: list[Rule]) -> None:
        self._left = list(rules)

    @property
    def satisfied(self) -> bool:
        """Whether every rule was used."""
        return not self._left

    async def next(self, hearing: Hearing) -> Move:
        """Return the line of the first unused rule that fits.

        If no rule fits, the caller hangs up. But if the caller has just interrupted a reply, they say the line of the
        first unused rule, although its `when` was not heard.
        """
        fitting = [rule for rule in self._left if rule.when is None or heard_in(rule.when, hearing.heard)]
        if not fitting and hearing.broke_in:
            fitting = self._left[:1]
        if fitting:
            self._left.remove(fitting[0])
            return Move(fitting[0].say)
        return Move(None, self._waited())

    def _waited(self) -> str:
        """Return why the caller hung up although lines are left; empty if no line is left."""
        if not self._left:
            return ""
        return f"the caller hung up, because {self._left[0].when!r} was not heard; they still had to say {self._left[0].say!r}"


class ByFunction:
    """A mind that calls a function for each line."""

    def __init__(self, function: Function, address: str = "", *, invoke: Invoke = _at_once) -> None:
        self._function, self._address, self._invoke = function, address, invoke

    @property
    def satisfied(self) -> bool:
        """Always False: if the agent hangs up before the caller does, the caller has more to say.

        The function that chooses the caller's lines returns None, and the caller hangs up, when the caller has nothing
        more to say. The simulated caller uses this property only after a hang-up of the agent.
        """
        return False

    async def next(self, hearing: Hearing) -> Move:
        """Return the move that the function chooses. Raises CallerError if it returns neither a text nor None."""
        told = await self._invoke(self._function, hearing)
        said = await told if inspect.isawaitable(told) else told
        if said is not None and not isinstance(said, str):
            raise CallerError(f"script: {self._address} returned {said!r}; expected a text, or None to hang up")
        return Move(said)


def scripted_mind(spec: CallerSpec, *, invoke: Invoke = _at_once) -> Mind:
    """Return the mind of a caller with a script.

    Raises ConfigurationError if `script` is not the address of a function.
    """
    if isinstance(spec.script, list):
        return Rules(spec.script)
    return ByFunction(_function(spec.script or ""), spec.script or "", invoke=invoke)


def _function(address: str) -> Function:
    module_name, _, name = address.partition(":")
    try:
        module = import_module(module_name, asked=address, what="The caller's script")
    except AgentNotFoundError as error:
        raise ConfigurationError(str(error)) from error
    function: Function | None = getattr(module, name, None)
    if not callable(function):
        raise ConfigurationError(
            f"script: {address}: {name!r} is {function!r}; expected a function that takes a Hearing and returns the "
            "next line, or None to hang up."
        )
    return function
