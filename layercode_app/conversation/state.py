"""The typed state of a conversation, shared by all its turns and tools that run at the same time."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, TypeVar

from loguru import logger
from pydantic import BaseModel, ValidationError

from ..exceptions import DeveloperError, StateError
from ..journal.merge_state import MISSING, REMOVED, merge
from ..journal.record import Json
from ..wellformed import same_json
from .copied import copy_values
from .flow import own_fields, stored_fields
from .in_place import InPlace, OwnParts
from .private_attributes import follow_fields
from .state_json import dump_model, load_model, misfit
from .undo import Undo

ModelT = TypeVar("ModelT", bound=BaseModel)


@dataclass(eq=False)
class LiveState(Generic[ModelT]):
    """The state of a conversation while turns or tools use it.

    `saved` is the state in the journal. `users` is the number of turns and tools that use the state now.
    """

    model: ModelT
    saved: dict[str, Json]
    users: int = 0
    scope: str = ""
    """The prefix of the fields' keys in the journal; see `scope_of` in `flow.py`."""
    saved_at: float = 0.0
    """When changes were last saved, by `time.perf_counter`."""
    refused: bool = False
    """Whether the journal refused a save, because the turn was deleted or another worker owns it by now."""
    _loadable: dict[str, Json] | None = None
    """The newest fields that can be loaded again."""
    _extra: set[str] = field(default_factory=set)
    """The names of the extra fields that the model has or had."""
    _based_on: dict[str, Json] = field(init=False)
    """The saved fields, and the defaults of the fields that are not saved. The changes are based on these values."""
    _undo: Undo = field(init=False)
    _own: OwnParts = field(init=False)

    def __post_init__(self) -> None:
        self._own = OwnParts(self.model, partial(load_model, type(self.model), dict(self.saved)))
        fields = self.fields()
        self._based_on = fields | self.saved
        self.saved = _as_dumped(self.saved, fields)
        self._undo = Undo(fields)
        self._note_extra()

    @classmethod
    def load(
        cls, kind: type[ModelT], stored: dict[str, Json], conversation_id: str, scope: str = ""
    ) -> LiveState[ModelT]:
        """Build the state from the agent's fields in the journal. `scope` is the prefix of their keys.

        Raises StateError if the fields do not fit the model `kind`, for example because the model was changed.
        """
        fields = own_fields(stored, scope)
        try:
            model = load_model(kind, fields)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            raise StateError(
                f"The saved state of conversation {conversation_id!r} does not fit {kind.__name__}: "
                f"{'.'.join(map(str, first['loc'])) or 'the model'}: {first['msg']}. Give new fields a default, or "
                'migrate old values in a @model_validator(mode="before") of the model.'
            ) from None
        return cls(model, fields, scope=scope)

    def forgotten(self, stored: dict[str, Json], received: float) -> bool:
        """Return whether the conversation was deleted while a tool of an earlier turn still used this state.

        `stored` was read from the journal after the time `received`. Return True if these three conditions hold:
        `stored` has none of this state's fields, this worker has saved no changes since `received`, and the journal
        either had fields of this state earlier or has refused to save them.
        """
        return (bool(self.saved) or self.refused) and self.saved_at < received and not stored_fields(stored, self.scope)

    def take_over(self, stored: dict[str, Json], received: float) -> None:
        """Take over the fields that other workers have saved meanwhile. A field that was also changed here is kept.

        `stored` was read from the journal after the time `received`. If this worker has saved changes since then,
        `stored` may be older than the state, and nothing is taken over.
        """
        if self.saved_at >= received:
            return
        current = self.fields()
        newer = {}
        for name, value in stored_fields(stored, self.scope).items():
            now = MISSING if value == REMOVED else value
            unchanged = same_json(self._based_on.get(name), current.get(name))
            if not same_json(self.saved.get(name, MISSING), now) and unchanged:
                newer[name] = now
        self._take(newer, newer, current)

    def _take(self, values: dict[str, Json], saved: dict[str, Json], current: dict[str, Json]) -> None:
        """Set these fields of the model, whose fields are `current` now. `saved` are their values in the journal."""
        if values:
            self._undo.compare(current)
            self._restore(values)
            self.settle()
            self._note_saved(_as_dumped(saved, self.fields()))
            self._note_extra()

    # --- tools and data events; see `undo.py`

    @property
    def busy(self) -> bool:
        """Whether a tool or a data event is running. If that work is cancelled, its changes are undone."""
        return self._undo.busy

    def compare(self) -> None:
        """Find the fields that changed since the last call of `compare` or `settle`.

        Attribute these changes to the tools and data events that are running now.
        """
        self._undo.compare(self.fields())

    def settle(self) -> None:
        """Find the fields that changed since the last call of `compare` or `settle`, and keep these changes for good.

        Call this function if neither a tool nor a data event made the changes. No cancellation undoes them later.
        """
        self._undo.settle(self.fields())

    def begin(self, work: object) -> None:
        """Record that a tool or a data event begins. This work may change the state."""
        self._undo.begin(work, self.fields())

    def end(self, work: object) -> list[str]:
        """Record that a tool or a data event has ended, and return the names of the fields that it changed.

        From now on, no cancellation undoes these changes.
        """
        return self._undo.end(work, self.fields())

    def cancel(self, work: object) -> None:
        """Undo the changes of a cancelled tool or data event."""
        undone = self._undo.cancel(work, self.fields())
        for name in [name for name, value in undone.items() if value is MISSING and name in self._declared()]:
            undone[name] = self.saved.get(name, MISSING)  # Before, it had a value that cannot be saved.
        self._restore(undone)

    def _restore(self, values: dict[str, Json]) -> None:
        """Set these fields of the model. The model object stays the same, because turns and tools refer to it.

        A field whose value is `MISSING` gets its default.
        """
        restored = self._with(values) if values else None
        if restored is None:
            return
        before = self._with({}) if type(self.model).__private_attributes__ else None
        kind, in_place = type(self.model), InPlace(self.model, self._own_ids())
        names = {info.serialization_alias or name: name for name, info in kind.model_fields.items()}
        for name in {names.get(key, key) for key in values}:
            # `setattr` would refuse a frozen model, and validate the model while only some fields are restored.
            if name in kind.model_fields:
                vars(self.model)[name] = in_place.changed(vars(self.model).get(name), getattr(restored, name))
            elif self.model.model_extra is not None:
                _restore_extra(self.model.model_extra, restored.model_extra or {}, name)
        for cached in vars(self.model).keys() - kind.model_fields.keys():
            del vars(self.model)[cached]  # a cached property, which may depend on the restored fields
        if before is not None:
            follow_fields(self.model, before, restored)

    def assign(self, model: Any) -> None:
        """Copy the values of `model` into the state. Raises DeveloperError unless `model` is of the state's class.

        Each field is assigned a new object. The old objects of the fields are not changed, because the app may still
        use them.
        """
        kind = type(self.model)
        if type(model) is not kind:
            raise DeveloperError(f"turn.state = {model!r}: expected a {kind.__name__}, such as {kind.__name__}().")
        copy_values(model, self.model)

    def _own_ids(self) -> set[int]:
        try:
            return self._own.ids()
        except Exception:  # noqa: BLE001 - a validator of the model may raise anything
            return set()

    def _with(self, values: dict[str, Json]) -> ModelT | None:
        """Return a copy of the model with these values. If they do not fit the model, log an error and return None."""
        kind, wrong = type(self.model), ""
        # First try the current values of the other fields. If one of them has the wrong type, use the saved values of
        # the other fields, because the saved values fit the model.
        for others in (self.fields(), self.saved):
            fields = {key: value for key, value in (others | values).items() if value is not MISSING}
            try:
                return load_model(kind, fields)
            except ValidationError as error:
                wrong = f"{error.error_count()} errors"
            except Exception as error:  # noqa: BLE001 - a validator of the model may raise anything
                wrong = type(error).__name__
        logger.error("The state {} cannot be restored: {}", kind.__name__, wrong)
        return None

    # --- saving

    def fields(self) -> dict[str, Json]:
        """Return the fields as the journal keeps them, without those that cannot be saved."""
        return dump_model(self.model)[0]

    def savable(self) -> tuple[dict[str, Json], StateError | None]:
        """Return the fields that can be saved and loaded again, and an error that names the other fields.

        The error is None if there are no other fields.
        """
        fields, error = dump_model(self.model)
        if error is None and not self._is_loadable(fields):
            error = misfit(type(self.model), fields, changed=[self._name(key) for key in self.changes(fields)])
        if error is None:
            self._loadable = fields
            return fields, None
        return {name: value for name, value in fields.items() if name not in error.fields}, error

    def _is_loadable(self, fields: dict[str, Json]) -> bool:
        """Return whether fields equal to `fields` were loaded before. If so, `fields` can be loaded as well."""
        return any(
            # The stores do not keep the order of the fields.
            known is not None
            and known.keys() == fields.keys()
            and all(same_json(fields[key], known[key]) for key in known)
            for known in (self.saved, self._loadable)
        )

    def check(self) -> None:
        """Raise StateError if a field cannot be saved, or could not be loaded by the next turn."""
        if (error := self.savable()[1]) is not None:
            raise error

    def reset_unsavable(self) -> tuple[dict[str, Json], StateError | None]:
        """If fields cannot be saved, reset them to their last saved values.

        Return the fields as the journal keeps them, and an error that names the fields that were reset. The error is
        None if no field was reset.
        """
        fields, error = self.savable()
        if error is None:
            return fields, None
        self._restore({name: self.saved.get(name, MISSING) for name in error.fields})
        return self.fields(), error

    def _name(self, key: str) -> str:
        return key.removeprefix(self.scope)

    def changes(self, fields: dict[str, Json] | None = None) -> dict[str, Json]:
        """Return the fields that differ from the saved ones, by their keys in the journal.

        The other fields are left out, so that saving does not overwrite other workers' changes to them. `fields` are
        the current fields. Pass them if you have them already, because it takes long to dump a large state.
        """
        current = self.fields() if fields is None else fields
        self._note_extra()
        return {
            self.scope + name: value
            for name, value in (current | self._removed()).items()
            if not same_json(self.saved.get(name, MISSING), value)
        }

    def based_on(self) -> dict[str, Json]:
        """Return the values that the changes are based on, by their keys in the journal."""
        return {self.scope + name: value for name, value in self._based_on.items()}

    def fitted(self, values: dict[str, Json], stored: Mapping[str, Json]) -> dict[str, Json] | None:
        """Return these values of the journal as this state would save them, with computed fields that fit the others.

        Return None if the state cannot be loaded with these values and the other fields of the `stored` state.
        """
        own = stored_fields(values, self.scope)
        try:
            known = self.fields() | stored_fields(stored, self.scope) | own
            fields = {name: value for name, value in known.items() if value != REMOVED}
            dumped = dump_model(load_model(type(self.model), fields))[0]
        except Exception:  # noqa: BLE001 - a validator of the model may raise anything
            return None
        return values | {self.scope + name: dumped[name] for name in own.keys() & dumped.keys()}

    def _removed(self) -> dict[str, Json]:
        """Return the saved extra fields that were removed from the model, with the value `REMOVED`.

        Saved fields that the model never had are not returned: an older or newer release of the app may use them.
        """
        removed = self._extra - (self.model.model_extra or {}).keys() - self._declared() if self._extra else ()
        return {name: REMOVED for name in removed if name in self.saved}

    def _note_extra(self) -> None:
        self._extra |= (self.model.model_extra or {}).keys()

    def _declared(self) -> set[str]:
        """Return the names and aliases of the fields of the class."""
        kind = type(self.model)
        aliases = [(info.alias, info.validation_alias, info.serialization_alias) for info in kind.model_fields.values()]
        named = {alias for of_field in aliases for alias in of_field if isinstance(alias, str)}
        return {*kind.model_fields, *kind.model_computed_fields, *named}

    def mark_saved(self, changes: dict[str, Json], written: dict[str, Json] | None = None) -> None:
        """Mark these changes as saved in the journal.

        `written` are the values that were saved. They differ from `changes` if these were merged with the changes of
        other turns. The state then takes over `written`.
        """
        self._note_saved({self._name(key): value for key, value in changes.items()})
        self.saved_at = time.perf_counter()
        if written is not None and (merged := [key for key in changes if written[key] is not changes[key]]):
            self._merge({self._name(key): written[key] for key in merged})

    def _merge(self, written: dict[str, Json]) -> None:
        current, merged = self.fields(), {}
        saved = {name: MISSING if value == REMOVED else value for name, value in written.items()}
        for name, value in saved.items():
            # Tools may have changed the field again while it was written.
            merged[name], _ = merge(self.saved.get(name, MISSING), current.get(name, MISSING), value, wins=True)
        self._take(merged, saved, current)

    def _note_saved(self, fields: dict[str, Json]) -> None:
        self.saved |= fields
        self._based_on |= {name: REMOVED if value is MISSING else value for name, value in fields.items()}
        for name in [name for name, value in fields.items() if value is MISSING or value == REMOVED]:
            del self.saved[name]


def _as_dumped(stored: dict[str, Json], dumped: dict[str, Json]) -> dict[str, Json]:
    """Return the stored fields. The keys within each value have the same order as in `dumped`, if the values are equal.

    The order may differ if the class was changed after the state was stored. This difference must not count as a change
    that has to be saved.
    """
    return {name: dumped[name] if name in dumped and dumped[name] == value else value for name, value in stored.items()}


def _restore_extra(extra: dict[str, Any], restored: dict[str, Any], name: str) -> None:
    """Set an extra field to its restored value, or remove it if it did not exist before."""
    if name in restored:
        extra[name] = restored[name]
    else:
        extra.pop(name, None)
