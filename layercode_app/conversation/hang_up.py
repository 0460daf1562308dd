"""Whether the agent asked to end the call. If a tool asks for it and is then cancelled, the request is undone."""

from __future__ import annotations

from .undo import Undo

_NAME = "hangup"


class HangUp:
    """The request of a turn to end the call."""

    asked = False
    final = False
    """Whether code outside tools, such as a guard, asked to end the call. This request stays if a reply is refused."""
    _undo: Undo | None = None
    """None until a tool or a data event begins."""

    def ask(self, *, by_tool: bool) -> None:
        """Ask to end the call after the reply."""
        self.asked = True
        self.final = self.final or not by_tool

    def take_back(self) -> None:
        """Undo the requests of tools, even of those that have ended, because a guard refused the reply."""
        self.asked = self.final
        self.settle()

    @property
    def busy(self) -> bool:
        """Whether a tool or a data event is running. If that work is cancelled, its request to hang up is undone."""
        return self._undo is not None and self._undo.busy

    def compare(self) -> None:
        """If there is a new request to hang up, attribute it to the tools and data events that are running."""
        self._changes().compare({_NAME: self.asked})

    def settle(self) -> None:
        """If there is a new request to hang up, protect it: no cancellation of a tool or data event undoes it later.

        Call this if neither a tool nor a data event made the request.
        """
        self._changes().settle({_NAME: self.asked})

    def begin(self, work: object) -> None:
        """Record that a tool or a data event begins. This work may ask to end the call."""
        self._changes().begin(work, {_NAME: self.asked})

    def end(self, work: object) -> dict[str, bool]:
        """Record that a tool or a data event has ended. From now on, no cancellation undoes its request to hang up.

        Return an empty dictionary, because a request to hang up is not a field of the conversation's state.
        """
        self._changes().end(work, {_NAME: self.asked})
        return {}

    def cancel(self, work: object) -> None:
        """Undo the request of a cancelled tool or data event."""
        self.asked = self._changes().cancel(work, {_NAME: self.asked}).get(_NAME, self.asked)

    def _changes(self) -> Undo:
        if self._undo is None:
            self._undo = Undo({_NAME: self.asked})
        return self._undo
