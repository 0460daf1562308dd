"""The typed state of a conversation, shared by all its turns and tools that run at the same time."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from ..exceptions import StateError
from ..journal.record import Json
from .flow import own_fields

ModelT = TypeVar("ModelT", bound=BaseModel)


@dataclass(eq=False)
class LiveState(Generic[ModelT]):
    """The state of a conversation while turns or tools use it.

    `saved` is the state in the journal. `settled` is the state after the last tool that ended; rolling back a cancelled
    tool restores it. `users` is the number of turns and tools that use the state now.
    """

    model: ModelT
    saved: dict[str, Json]
    settled: dict[str, Json]
    users: int = 0
    scope: str = ""
    """The prefix of the fields' keys in the journal; see `scope_of` in `flow.py`."""
    saved_at: float = 0.0
    """When changes were last saved, by `time.perf_counter`."""

    @classmethod
    def load(
        cls, kind: type[ModelT], stored: dict[str, Json], conversation_id: str, scope: str = ""
    ) -> LiveState[ModelT]:
        """Build the state from the agent's fields in the journal. `scope` is the prefix of their keys.

        Raises StateError if the fields do not fit the model `kind`, for example because the model was changed.
        """
        fields = own_fields(stored, scope)
        try:
            model = kind.model_validate(fields)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            raise StateError(
                f"The saved state of conversation {conversation_id!r} does not fit {kind.__name__}: "
                f"{'.'.join(map(str, first['loc'])) or 'the model'}: {first['msg']}. Give new fields a default, or "
                'migrate old values in a @model_validator(mode="before") of the model.'
            ) from None
        return cls(model, fields, model.model_dump(mode="json"), scope=scope)

    def forgotten(self, stored: dict[str, Json], received: float) -> bool:
        """Return whether this state is of a conversation that was forgotten while a tool of an earlier turn ran.

        `stored` was read from the journal after the time `received`. If this state was saved before that time, but
        none of its fields is stored, the conversation was forgotten in between.
        """
        return bool(self.saved) and self.saved_at < received and not own_fields(stored, self.scope)

    def settle(self) -> None:
        """Make the current state the one that `roll_back` restores."""
        self.settled = self.model.model_dump(mode="json")

    def roll_back(self) -> None:
        """Restore the state of the last `settle`, or else the loaded state. The model object stays the same."""
        restored = type(self.model).model_validate(self.settled)
        for name in type(self.model).model_fields:
            setattr(self.model, name, getattr(restored, name))

    def changes(self) -> dict[str, Json]:
        """Return the fields that differ from the saved ones, by their keys in the journal.

        The other fields are left out, so that saving does not overwrite other workers' changes to them.
        """
        now: dict[str, Any] = self.model.model_dump(mode="json")
        return {
            self.scope + name: value
            for name, value in now.items()
            if name not in self.saved or self.saved[name] != value
        }

    def mark_saved(self, changes: dict[str, Json]) -> None:
        """Mark these changes as saved in the journal."""
        self.saved.update({key.removeprefix(self.scope): value for key, value in changes.items()})
        self.saved_at = time.perf_counter()
