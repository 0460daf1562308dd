"""Convert the state of a conversation to JSON for the journal, and back.

The journal has each field by its name. A dumped state can be loaded again, even if its model has aliases, strict types,
computed fields or forbidden extra fields.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar
from weakref import WeakKeyDictionary

from pydantic import BaseModel, ValidationError

from .._compat.pydantic import is_panic
from ..exceptions import StateError
from ..journal.record import Json
from ..wellformed import dump_json
from .sorted_sets import with_sorted_sets

ModelT = TypeVar("ModelT", bound=BaseModel)

DUMPS = 5
"""How often a dump is tried. A plain tool in another thread may change a dict of the model during a dump."""
_NOT_FINITE = {"Infinity": math.inf, "-Infinity": -math.inf, "NaN": math.nan}
"""Maps texts in the journal to floats that JSON cannot represent. Pydantic reads these texts as the floats."""


def load_model(kind: type[ModelT], fields: dict[str, Json]) -> ModelT:
    """Build a model from JSON. Raises ValidationError if the fields do not fit."""
    given = {name: value for name, value in fields.items() if name not in kind.model_computed_fields}
    # The values are JSON, in which a strict date is a text. So they must be validated as JSON, not as Python objects.
    try:
        return kind.model_validate_json(dump_json(given), by_alias=True, by_name=True)
    except ValidationError as error:
        unnamed = _without_names(given)
        if unnamed == given:
            raise
        try:
            # A strict float field refuses the text "NaN". It accepts NaN without quotes, as Python's encoder writes it.
            return kind.model_validate_json(json.dumps(unnamed, default=str), by_alias=True, by_name=True)
        except ValidationError:
            raise error from None


def dump_model(model: BaseModel) -> tuple[dict[str, Json], StateError | None]:
    """Return the model as JSON, with its computed fields, and an error if some of its fields cannot be saved.

    The error names these fields; they are missing in the JSON.
    """
    for _ in range(DUMPS):
        try:
            return _named(_dump(model)), None
        except Exception:  # noqa: BLE001 - a custom serializer may raise anything
            break
        except BaseException as error:
            if not is_panic(error):
                raise
    return _dump_each_field(model)


def _dump(model: BaseModel) -> dict[str, Json]:
    kind = type(model)
    dumped = model.model_dump(mode="json", round_trip=needs_round_trip(kind), warnings=False)
    if needs_round_trip(kind) and kind.model_computed_fields:
        dumped |= model.model_dump(mode="json", include=set(kind.model_computed_fields), warnings=False)
    return _in_order(model, dumped)


def _in_order(model: BaseModel, dumped: dict[str, Json]) -> dict[str, Json]:
    """Return the dumped JSON with the items of every set sorted.

    The order of a set differs between workers. Without sorting, an unchanged set would seem to be changed.
    """
    return with_sorted_sets(model, dumped) if _traits_of(type(model)).sets else dumped


def misfit(kind: type[BaseModel], fields: dict[str, Json], *, changed: Sequence[str]) -> StateError | None:
    """Return an error that names the fields with which the model cannot be loaded, or None if all fields fit.

    If the model accepts each field, but not all of them together, the error names the fields in `changed`.
    """
    try:
        load_model(kind, fields)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        wrong = [key for one in found if one["loc"] for key in _keys_of(kind, fields, str(one["loc"][0]))]
        told = "; ".join(f"{'.'.join(map(str, one['loc'])) or 'the model'}: {one['msg']}" for one in found)
        return _state_error(kind, told, tuple(wrong) or tuple(changed))
    except Exception as error:  # noqa: BLE001 - a validator of the model may raise anything
        return _state_error(kind, f"{type(error).__name__}: {error}", tuple(changed))
    return None


def _keys_of(kind: type[BaseModel], fields: dict[str, Json], place: str) -> list[str]:
    """Return the keys in `fields` that stand for the field `place` of the model.

    `place` comes from a validation error: it is the field's name or one of its aliases.
    """
    for name, info in kind.model_fields.items():
        names = {name, info.alias, info.validation_alias, info.serialization_alias}
        if place in names:
            return [key for key in fields if key in names]
    return [place]


def _dump_each_field(model: BaseModel) -> tuple[dict[str, Json], StateError | None]:
    kind, dumped, failed = type(model), dict[str, Json](), dict[str, BaseException]()
    for name in (*kind.model_fields, *(model.model_extra or ()), *kind.model_computed_fields):
        saved_as_is = needs_round_trip(kind) and name not in kind.model_computed_fields
        try:
            dumped |= model.model_dump(mode="json", include={name}, round_trip=saved_as_is, warnings=False)
        except BaseException as error:
            if not isinstance(error, Exception) and not is_panic(error):
                raise
            failed[name] = error
    return _named(_in_order(model, dumped)), _unsavable(kind, failed)


def _unsavable(kind: type[BaseModel], failed: dict[str, BaseException]) -> StateError | None:
    if not failed:
        return None
    told = "; ".join(f"{name}: {type(error).__name__}: {error}" for name, error in failed.items())
    return _state_error(kind, told, tuple(failed))


def _state_error(kind: type[BaseModel], told: str, fields: tuple[str, ...]) -> StateError:
    unsavable = StateError(
        f"The state {kind.__name__} cannot be saved. {told}. Assign only values that fit the types of the "
        "fields, and declare types that Pydantic can write as JSON and read again, or add a @field_serializer."
    )
    unsavable.fields = fields
    return unsavable


def _named(dumped: dict[str, Json]) -> dict[str, Json]:
    """Return the JSON with texts such as "NaN" instead of the floats that are not finite."""
    # `dump_json` writes these floats as null. Most states contain no null, so the slow search in every value is rarely
    # needed.
    return _with_names(dumped) if b"null" in dump_json(dumped) else dumped


def _with_names(value: Any) -> Json:
    if isinstance(value, float) and not math.isfinite(value):
        return next((text for text, number in _NOT_FINITE.items() if number == value), "NaN")
    return _in_each(value, _with_names)


def _without_names(value: Any) -> Json:
    """Reverse `_with_names`."""
    if isinstance(value, str):
        return _NOT_FINITE.get(value, value)
    return _in_each(value, _without_names)


def _in_each(value: Any, change: Callable[[Any], Json]) -> Json:
    if isinstance(value, dict):
        return {key: change(item) for key, item in value.items()}
    return [change(item) for item in value] if isinstance(value, list) else value


class _Traits(NamedTuple):
    """How the models of a class must be dumped."""

    round_trip: bool
    sets: bool
    """Whether a field may contain sets."""


_traits: WeakKeyDictionary[type[BaseModel], _Traits] = WeakKeyDictionary()
"""Caches the results of `_traits_of`. Its keys are weak, so that Python can free classes that `dev` has replaced."""


def needs_round_trip(kind: type[BaseModel]) -> bool:
    """Return whether a plain dump of the model may be refused or misread when it is loaded.

    A model that forbids extra fields refuses its own computed fields. A model with `Json` fields refuses or misreads
    the dumped values of these fields. The same is true if such a model is nested in this one.

    If the answer is true, the model is dumped with `round_trip=True`. This leaves out all computed fields, and writes
    `Json` fields in the form in which they are read. `_dump` then adds the computed fields of the outermost model
    again, and `load_model` ignores them. `VoiceAgent` calls this function when it is created, because the first call
    for a model takes milliseconds.
    """
    return _traits_of(kind).round_trip


def _traits_of(kind: type[BaseModel]) -> _Traits:
    try:
        return _traits[kind]
    except KeyError:
        answer = _traits[kind] = _read_traits(kind)
        return answer


def _read_traits(kind: type[BaseModel]) -> _Traits:
    try:
        with warnings.catch_warnings():
            # Pydantic warns, for example, about a default that is not JSON. This does not change the traits.
            warnings.simplefilter("ignore")
            schema = json.dumps(kind.model_json_schema(), default=str)
    except Exception:  # noqa: BLE001 - the model's own code may raise anything
        return _Traits(round_trip=True, sets=True)
    misread = '"additionalProperties": false' in schema or '"contentMediaType": "application/json"' in schema
    return _Traits(round_trip=misread, sets='"uniqueItems": true' in schema)
