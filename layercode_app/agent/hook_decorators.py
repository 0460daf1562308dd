"""The decorators of a `VoiceAgent` that register its hooks, its tasks and its offline script."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast

from ..exceptions import HookError
from ..jobs.tasks import mark_task
from ..nearest import nearest
from .hooks import PARAMETERS, Hook, HookName, HookT, SpeakingHookT, check_hook, check_script
from .offline import Script

DecoratorT = TypeVar("DecoratorT", bound=Callable[..., Any])


def _decorator(register: DecoratorT) -> DecoratorT:
    """Make a method usable as a decorator that is written without parentheses, such as `@agent.on_data`.

    With empty parentheses, as in `@agent.on_data()`, the method raises HookError.
    """

    @wraps(register)
    def registering(self: Hooks, *hook: Any, **named: Any) -> Any:
        if not hook and not named:
            name = register.__name__
            raise HookError(f"{name} was given no function. Write `@agent.{name}` without parentheses.")
        return register(self, *hook, **named)

    return cast(DecoratorT, registering)


class Hooks:
    """The decorators that register an agent's hooks, tasks and script. An invalid hook or task raises HookError."""

    def __init__(self) -> None:
        self.hooks: dict[HookName, list[Hook]] = {}
        self.tasks: dict[str, Hook] = {}
        self.script: Script | None = None

    if not TYPE_CHECKING:  # A type checker would take this as permission for every name.

        def __getattr__(self, name: str) -> Any:
            """Raise AttributeError. For a misspelt decorator, the error suggests the correct name."""
            if name.startswith("on_"):
                raise AttributeError(_unknown_hook(name))
            if not name.startswith("_") and (meant := nearest(name, _public(Hooks))):
                raise AttributeError(f"VoiceAgent has no {name}. Did you mean {meant}?")
            return object.__getattribute__(self, name)  # raises the usual error, or that of a property

    @_decorator
    def on_message(self, hook: SpeakingHookT) -> SpeakingHookT:
        """Answer messages with `hook(turn)`, which returns a str, yields str pieces, or calls `turn.say()`."""
        check_hook("on_message", hook, ("turn",), stream=True)
        self.hooks["message"] = [hook]
        return hook

    @_decorator
    def while_thinking(self, hook: SpeakingHookT) -> SpeakingHookT:
        """Speak what `hook(turn)` returns or yields while the model thinks.

        When the answer is ready, the hook has at most one second to end its sentence, and is then cancelled.
        """
        check_hook("while_thinking", hook, ("turn",), stream=True)
        self.hooks["thinking"] = [hook]
        return hook

    @_decorator
    def on_session_start(self, hook: HookT) -> HookT:
        """Call `await hook(turn)` before the greeting is spoken."""
        return self._add("session_start", hook)

    @_decorator
    def on_data(self, hook: HookT) -> HookT:
        """Call `await hook(turn, data)` when the page sends data. The page gets the result of the last hook as JSON."""
        return self._add("data", hook)

    @_decorator
    def on_session_update(self, hook: HookT) -> HookT:
        """Call `await hook(event)` when the recording of a session is ready or has failed."""
        return self._add("session_update", hook)

    @_decorator
    def on_session_end(self, hook: HookT) -> HookT:
        """Call `await hook(event)` after a session, even if the server was restarted.

        The hook is called once if all `on_session_end` hooks of the agent succeed. If one of these hooks fails, all of
        them are called again later.
        """
        return self._add("session_end", hook)

    @_decorator
    def task(self, function: HookT) -> HookT:
        """Register a task. `turn.background(function, **arguments)` enqueues it as a job, which survives a restart."""
        check_hook("task", function)
        self.tasks[mark_task(function)] = function
        return function

    @_decorator
    def on_event(self, hook: HookT) -> HookT:
        """Call `await hook(event)` for every event that is not answered with speech, even if its type is unknown."""
        return self._add("event", hook)

    @_decorator
    def on_authorize(self, hook: HookT) -> HookT:
        """Call `await hook(request)` before a session is granted to a page; see `AuthorizeRequest`.

        A server with several agents calls only the hooks of the agent at LAYERCODE_AGENT_ROUTE, for every page.
        """
        return self._add("authorize", hook)

    @_decorator
    def offline(self, script: Script) -> Script:
        """Answer with this script if the model is `offline` or not set.

        In development, the script also answers if the model's key is missing. With APP_ENV=production, a server does
        not start if no model is set.
        """
        check_script(script)
        self.script = script
        return script

    def _add(self, name: HookName, hook: HookT) -> HookT:
        check_hook(f"on_{name}", hook, PARAMETERS[name])
        self.hooks.setdefault(name, []).append(hook)
        return hook


def _public(kind: type) -> list[str]:
    return sorted(name for name in vars(kind) if not name.startswith("_"))


def _unknown_hook(name: str) -> str:
    known = [one for one in _public(Hooks) if one.startswith("on_")]
    meant = nearest(name, known)
    hint = f" Did you mean {meant}?" if meant else ""
    return f"VoiceAgent has no hook {name}.{hint} It has: {', '.join(known)}."
