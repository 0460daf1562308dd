"""Record whether the agent asked to end the call. If a tool asked for this and is then cancelled, undo its request."""

from __future__ import annotations

from .undo import Undo

_NAME = "hangup"


class HangUp:
    """Records whether a turn has asked to end the call."""

    _asked = False
    final = False
    """Whether code outside tools, such as a guard or a data event, asked to end the call.

    If a guard refuses the reply, this request is not undone.
    """
    _undo: Undo | None = None
    """None until a tool or a data event begins."""

    @property
    def asked(self) -> bool:
        """Whether to end the call after the reply."""
        return self._asked

    def ask(self, *, by_tool: bool) -> None:
        """Ask to end the call after the reply."""
        self._asked = True
        self.final = self.final or not by_tool

    def take_back(self) -> None:
        """Undo every tool's request to end the call, even if the tool has ended. Called when a guard refuses the reply."""
        self._asked = self.final
        self.settle()

    @property
    def busy(self) -> bool:
        """Whether a tool or a data event is running. If that work is cancelled, its request to hang up is undone."""
        return self._undo is not None and self._undo.busy

    def compare(self) -> None:
        """If there is a new request to hang up, attribute it to the tools and data events that are running."""
        self._changes().compare({_NAME: self._asked})

    def settle(self) -> None:
        """Keep a request to hang up for good, even if a tool or a data event is cancelled later.

        Call this if other code of the agent made the request, for example a hook.
        """
        self._changes().settle({_NAME: self._asked})

    def begin(self, work: object) -> None:
        """Record that a tool or a data event begins. This work may ask to end the call."""
        self._changes().begin(work, {_NAME: self._asked})

    def end(self, work: object) -> list[str]:
        """Record that a tool or a data event has ended. From now on, no cancellation undoes its request to hang up.

        Return the names of the state's fields that this work changed. The list is always empty, because a request to
        hang up changes no field of the state.
        """
        self._changes().end(work, {_NAME: self._asked})
        return []

    def cancel(self, work: object) -> None:
        """Undo the request to hang up that a cancelled tool or data event made."""
        self._asked = self._changes().cancel(work, {_NAME: self._asked}).get(_NAME, self._asked)

    def _changes(self) -> Undo:
        if self._undo is None:
            self._undo = Undo({_NAME: self._asked})
        return self._undo
