"""The decorators of a `VoiceAgent` that register its hooks, its tasks and its offline script."""

from __future__ import annotations

from ..jobs.tasks import mark_task
from .hooks import PARAMETERS, Hook, HookName, HookT, SpeakingHookT, check_hook, check_script
from .offline import Script


class Hooks:
    """The decorators that register an agent's hooks, tasks and script. An invalid hook or task raises HookError."""

    def __init__(self) -> None:
        self.hooks: dict[HookName, list[Hook]] = {}
        self.tasks: dict[str, Hook] = {}
        self.script: Script | None = None

    def on_message(self, hook: SpeakingHookT) -> SpeakingHookT:
        """Answer messages with `hook(turn)`, which returns a str, yields str pieces, or calls `turn.say()`."""
        check_hook("on_message", hook, ("turn",), stream=True)
        self.hooks["message"] = [hook]
        return hook

    def while_thinking(self, hook: SpeakingHookT) -> SpeakingHookT:
        """Speak what `hook(turn)` returns or yields while the model thinks.

        When the answer is ready, the hook has at most one second to end its sentence, and is then cancelled.
        """
        check_hook("while_thinking", hook, ("turn",), stream=True)
        self.hooks["thinking"] = [hook]
        return hook

    def on_session_start(self, hook: HookT) -> HookT:
        """Call `await hook(turn)` before the greeting is spoken."""
        return self._add("session_start", hook)

    def on_data(self, hook: HookT) -> HookT:
        """Call `await hook(turn, data)` when the page sends data. The hook's result is sent to the page as JSON."""
        return self._add("data", hook)

    def on_session_update(self, hook: HookT) -> HookT:
        """Call `await hook(event)` when the recording of a session is ready or has failed."""
        return self._add("session_update", hook)

    def on_session_end(self, hook: HookT) -> HookT:
        """Call `await hook(event)` once after a session, even if the server was restarted. A failed hook is retried."""
        return self._add("session_end", hook)

    def task(self, function: HookT) -> HookT:
        """Register a task. `turn.background(function, **arguments)` enqueues it as a job, which survives a restart."""
        check_hook("task", function)
        self.tasks[mark_task(function)] = function
        return function

    def on_event(self, hook: HookT) -> HookT:
        """Call `await hook(event)` for every event, even of an unknown type, in addition to that event's own hook."""
        return self._add("event", hook)

    def on_authorize(self, hook: HookT) -> HookT:
        """Call `await hook(request)` before a session is granted to a page; see `AuthorizeRequest`."""
        return self._add("authorize", hook)

    def offline(self, script: Script) -> Script:
        """Answer with this script if there is no model, or no key for it."""
        check_script(script)
        self.script = script
        return script

    def _add(self, name: HookName, hook: HookT) -> HookT:
        check_hook(f"on_{name}", hook, PARAMETERS[name])
        self.hooks.setdefault(name, []).append(hook)
        return hook
