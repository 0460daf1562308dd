"""State models of every kind keep their values from turn to turn, and a turn ends even if its state cannot be saved."""

from __future__ import annotations

import asyncio
import datetime
import decimal
import gc
import math
import weakref
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field, Json, SecretStr, computed_field, field_serializer
from pydantic.alias_generators import to_camel

from layercode_app import Turn, VoiceAgent
from layercode_app.conversation.state import LiveState
from layercode_app.conversation.state_json import needs_round_trip
from layercode_app.exceptions import DeveloperError, StateError
from layercode_app.testing import open_call
from layercode_app.testing.call import CallError
from layercode_app.wellformed import dump_json, load_json

pytestmark = pytest.mark.anyio


class Cart(BaseModel):
    n: int = 0
    cart: dict[str, Any] = {}
    photo: bytes = b""


class Alias(BaseModel):
    n: int = Field(0, alias="count")


class SavedAlias(BaseModel):
    model_config = ConfigDict(serialize_by_alias=True)
    n: int = Field(0, alias="count")


class Camel(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=False)
    n: int = 0


class ReadAlias(BaseModel):
    n: int = Field(0, validation_alias="count")


class Computed(BaseModel):
    model_config = ConfigDict(extra="forbid")
    n: int = 0

    @computed_field  # type: ignore[prop-decorator]
    @property
    def twice(self) -> int:
        return self.n * 2


class Nested(BaseModel):
    n: int = 0
    inner: Computed = Computed()
    raw: Json[list[int]] = Field(default_factory=lambda: [1])


class Strict(BaseModel):
    model_config = ConfigDict(strict=True)
    n: int = 0
    at: datetime.datetime = datetime.datetime(2026, 1, 1)
    price: decimal.Decimal = decimal.Decimal("1.5")


EXAMPLE: Any = {"examples": [{"since": datetime.date(2026, 1, 1)}]}


class Example(BaseModel):
    model_config = ConfigDict(json_schema_extra=EXAMPLE)
    n: int = 0


class Broken(BaseModel):
    n: int = 0

    @classmethod
    def __get_pydantic_json_schema__(cls, core: Any, handler: Any) -> Any:
        raise RuntimeError("no schema")


class Thing:
    """A class that has no JSON form."""


class Unlisted(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)
    n: int = 0
    thing: Any = Field(default=Thing(), exclude=True)


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)
    items: list[int] = []


async def say_n(kind: type[BaseModel]) -> list[str]:
    voice = VoiceAgent("counter", state=kind)

    @voice.on_message
    async def count(turn: Turn[Any]) -> str:
        turn.state.n += 1
        return str(turn.state.n)

    async with open_call(voice) as call:
        return [(await call.say("count")).spoken for _ in range(3)]


@pytest.mark.parametrize(
    "kind", [Alias, SavedAlias, Camel, ReadAlias, Computed, Nested, Strict, Example, Broken, Unlisted]
)
async def test_what_one_turn_saved_the_next_one_loads(kind: type[BaseModel]) -> None:
    assert await say_n(kind) == ["1", "2", "3"]


async def test_a_turn_dumps_its_state_three_times_because_large_states_take_long() -> None:
    dumps = 0

    class Counted(BaseModel):
        n: int = 0

        def model_dump(self, **options: Any) -> dict[str, Any]:
            nonlocal dumps
            dumps += 1
            return super().model_dump(**options)

    assert await say_n(Counted) == ["1", "2", "3"]
    assert dumps == 3 * 3  # when it is loaded, checked and saved, in each of three turns


class Prices(BaseModel):
    lowest: float = math.inf
    highest: float | None = -math.inf
    by_day: dict[str, float] = {"monday": math.nan}
    note: str = "NaN"
    n: int = 0


class StrictPrices(Prices):
    model_config = ConfigDict(strict=True)
    note: str = ""


@pytest.mark.parametrize("kind", [Prices, StrictPrices])
async def test_floats_that_are_not_finite_are_saved(kind: type[Prices]) -> None:
    assert await say_n(kind) == ["1", "2", "3"]
    stored = load_json(dump_json(LiveState.load(kind, {}, "c").fields()))
    state, work = LiveState.load(kind, stored, "c"), object()
    state.begin(work)
    state.model.lowest, state.model.n = 1.5, 7
    state.cancel(work)
    model = state.model
    assert (model.lowest, model.highest, model.note, model.n) == (math.inf, -math.inf, kind().note, 0)
    assert math.isnan(model.by_day["monday"])
    assert state.changes() == {}


async def test_a_state_that_does_not_fit_is_refused_for_its_first_wrong_value() -> None:
    with pytest.raises(StateError, match="n: Input should be a valid integer"):
        LiveState.load(Prices, {"note": "NaN", "n": "many"}, "c")


async def test_the_schema_of_a_state_is_computed_when_the_agent_is_created(monkeypatch: pytest.MonkeyPatch) -> None:
    class State(BaseModel):
        n: int = 0

    voice = VoiceAgent("counter", state=State)
    monkeypatch.setattr(State, "model_json_schema", lambda: pytest.fail("a turn computes the schema"))
    assert voice.state_type is not None
    assert LiveState.load(voice.state_type, {}, "c").fields() == {"n": 0}


async def test_computed_fields_stay_in_the_journal() -> None:
    assert LiveState.load(Computed, {"n": 2, "twice": 4}, "c").fields() == {"n": 2, "twice": 4}


async def test_a_state_that_hides_its_values_is_refused() -> None:
    class Secret(BaseModel):
        pin: SecretStr = SecretStr("")

    class Shown(Secret):
        @field_serializer("pin", when_used="json")
        def show(self, pin: SecretStr) -> str:
            return pin.get_secret_value()

    class ManySecrets(BaseModel):
        pins: list[SecretStr] = []

    class Probe(BaseModel):
        probe: SecretStr = SecretStr("")

    class ManyShown(ManySecrets):
        @field_serializer("pins")
        def show(self, pins: list[SecretStr]) -> list[str]:
            return [pin.get_secret_value() for pin in pins]

    class ByName(BaseModel):
        pins: dict[str, SecretStr] = {}

        @field_serializer("pins")
        def show(self, pins: dict[str, SecretStr]) -> dict[str, str]:
            return {name: pin.get_secret_value() for name, pin in pins.items()}

    class Unsaved(BaseModel):
        pin: SecretStr | None = Field(None, exclude=True)

    with pytest.raises(DeveloperError, match="'pin' would be saved as"):
        VoiceAgent("safe", state=Secret)
    with pytest.raises(DeveloperError, match="'pins' would be saved as"):
        VoiceAgent("safe", state=ManySecrets)
    with pytest.raises(DeveloperError, match="'probe' would be saved as"):
        VoiceAgent("safe", state=Probe)
    for kind in (Shown, ManyShown, ByName, Unsaved):
        VoiceAgent("safe", state=kind)


async def test_the_changes_of_a_cancelled_tool_to_a_frozen_model_are_undone() -> None:
    state, work = LiveState.load(Frozen, {"items": [1]}, "c"), object()
    state.begin(work)
    state.model.items.append(2)
    state.cancel(work)
    assert state.model.items == [1]


@pytest.mark.parametrize("value", [{"cart": {"thing": object()}}, {"photo": b"\xff"}])
async def test_a_turn_whose_state_cannot_be_saved_ends_with_an_apology_and_keeps_the_rest(value: Any) -> None:
    voice = VoiceAgent("shop", state=Cart)

    @voice.on_message
    async def put(turn: Turn[Cart]) -> str:
        turn.state.n += 1
        if turn.text == "bad":
            for name, item in value.items():
                setattr(turn.state, name, item)
        return "It is in the cart."

    async with open_call(voice) as call:
        bad = await call.say("bad")
        good = await call.say("good")
        state = await call.state()
    assert bad.record is not None
    assert good.record is not None
    assert (bad.record.status, bad.record.error, bad.record.frames[-1].type) == ("failed", "StateError", "response.end")
    assert (good.record.status, good.record.error) == ("complete", None)
    assert state == {"n": 2, "cart": {}, "photo": ""}


async def test_an_interrupted_turn_ends_too() -> None:
    voice, waiting = VoiceAgent("shop", state=Cart), asyncio.Event()

    @voice.on_message
    async def put(turn: Turn[Cart]) -> str:
        turn.state.cart["thing"] = object()
        turn.say("It is in the cart. ")
        await waiting.wait()
        return ""

    async with open_call(voice) as call:
        call.interrupt(after="It is in the cart.")
        turn = await call.say("bad")
        assert await call.state() == {"n": 0, "cart": {}, "photo": ""}
    assert turn.record is not None
    assert (turn.record.status, turn.record.error) == ("interrupted", "StateError")


async def test_a_data_event_whose_state_cannot_be_saved_fails_and_keeps_the_rest() -> None:
    voice = VoiceAgent("shop", state=Cart)

    @voice.on_data
    async def put(turn: Turn[Cart], data: Any) -> Any:
        turn.state.n += 1
        turn.state.cart["thing"] = object()

    async with open_call(voice) as call:
        with pytest.raises(CallError, match="500"):
            await call.send_data({"put": 1})
        assert await call.state() == {"n": 1, "cart": {}, "photo": ""}


def test_a_state_class_that_is_no_longer_used_is_freed() -> None:
    class Replaced(BaseModel):
        n: int = 0

    needs_round_trip(Replaced)
    replaced = weakref.ref(Replaced)
    del Replaced
    gc.collect()
    assert replaced() is None
