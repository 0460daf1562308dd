"""The typed state of a conversation, shared by everything that runs in it at the same time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from ..exceptions import StateError
from .record import Json

ModelT = TypeVar("ModelT", bound=BaseModel)


@dataclass(eq=False)
class LiveState(Generic[ModelT]):
    """A conversation's state while somebody works on it.

    `saved` is what the journal has, `settled` what the tools that ended left: a tool that is cancelled half-way is
    rolled back to it.
    """

    model: ModelT
    saved: dict[str, Json]
    settled: dict[str, Json]
    users: int = 0

    @classmethod
    def load(cls, kind: type[ModelT], stored: dict[str, Json], conversation_id: str) -> LiveState[ModelT]:
        """Build it from what the journal has. Raises StateError when that does not fit the model any more."""
        try:
            model = kind.model_validate(stored)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            raise StateError(
                f"The saved state of conversation {conversation_id!r} does not fit {kind.__name__}: "
                f"{'.'.join(map(str, first['loc'])) or 'the model'}: {first['msg']}. Give new fields a default, or "
                'migrate old values in a @model_validator(mode="before") of the model.'
            ) from None
        return cls(model, dict(stored), model.model_dump(mode="json"))

    def settle(self) -> None:
        """What the state is now stays, whatever happens to the turn."""
        self.settled = self.model.model_dump(mode="json")

    def roll_back(self) -> None:
        """Return to what was settled last; the model object stays the same one."""
        restored = type(self.model).model_validate(self.settled)
        for name in type(self.model).model_fields:
            setattr(self.model, name, getattr(restored, name))

    def changes(self) -> dict[str, Json]:
        """The fields that differ from what the journal has; other workers' changes to the rest are not undone."""
        now: dict[str, Any] = self.model.model_dump(mode="json")
        return {name: value for name, value in now.items() if name not in self.saved or self.saved[name] != value}

    def mark_saved(self, changes: dict[str, Json]) -> None:
        """These changes have reached the journal."""
        self.saved.update(changes)
