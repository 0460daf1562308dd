"""Collectors in a turn: what they say and keep, corrections, spellings, parts, and errors of their declaration."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from loguru import logger
from pydantic_ai import Agent

from layercode_app import Call, LayerCode, Scene, Turn, VoiceAgent
from layercode_app.collect import (
    Address,
    Choice,
    Code,
    Collecting,
    Collector,
    Date,
    Email,
    Money,
    Name,
    Number,
    Phone,
    Time,
    YesNo,
)
from layercode_app.exceptions import DeveloperError

from ..calling import calling, settings
from ..priced import records
from .heard_forms import SIZES

pytestmark = pytest.mark.anyio


class Form(Collecting):
    """The agent's state: a field for each kind of collector, with the type of the values that the collector stores."""

    email: str = ""
    phone: str = ""
    day: date | None = None
    at: time | None = None
    name: str = ""
    address: str = ""
    people: Decimal | None = None
    price: Decimal | None = None
    size: str = ""
    bag: bool | None = None
    order: str = ""


def clock() -> datetime:
    return datetime(2026, 11, 25, 10, 0)


def form(*collectors: Collector[Any], **options: Any) -> VoiceAgent[Any, Any]:
    """Return an agent with these collectors. The caller's words name a tool and its argument.

    For example, "save_email: ann at gmail" calls the tool `save_email`.
    """
    agent = Agent(deps_type=Turn[Form], toolsets=list(collectors))
    voice = VoiceAgent("form", agent, state=Form, **options)

    @voice.offline
    async def script(scene: Scene) -> AsyncIterator[str | Call]:
        tool, _, words = scene.text.partition(": ")
        if scene.answered:
            yield str(scene.answered[-1].result)
        elif tool.startswith("fix_"):
            yield Call(tool, dict(zip(("wrong", "right"), words.split(" / "), strict=True)))
        else:
            yield Call(tool, {"heard": words} if tool.startswith("save_") else {})

    return voice


async def play(collectors: Collector[Any] | list[Collector[Any]], folder: Path, *said: str) -> tuple[list[str], Any]:
    """Say these texts to an agent with the collectors. Return its replies, and the state after the last turn."""
    several = collectors if isinstance(collectors, list) else [collectors]
    app = LayerCode(form(*several), settings=settings(folder), model="offline")
    async with calling(app) as caller:
        spoken = [(await caller.say(text)).spoken for text in said]
        turns = await records(app)
    return spoken, turns[-1].state


@pytest.mark.parametrize(
    ("collector", "heard", "spoken", "kept"),
    [
        (lambda: Email("email"), "ann dot smith at gmail", "ann dot smith at gmail dot com", "ann.smith@gmail.com"),
        (lambda: Phone("phone"), "415 555 0199", "four one five, five five five, zero one nine nine", "+14155550199"),
        (
            lambda: Date("day", clock=clock),
            "the twelfth of next month",
            "Saturday, the twelfth of December",
            "2026-12-12",
        ),
        (lambda: Time("at", clock=clock), "four fifteen", "four fifteen in the afternoon", "16:15:00"),
        (lambda: Name("name"), "my name is ann smith", "Ann Smith", "Ann Smith"),
        (lambda: Address("address"), "twelve mill lane", "twelve Mill Lane", "12 Mill Lane"),
        (lambda: Number("people", whole=True, most=20), "half a dozen", "six", "6"),
        (lambda: Money("price"), "twelve fifty", "twelve dollars and fifty cents", "12.50"),
        (lambda: Choice("size", SIZES), "the second one", "medium", "medium"),
        (lambda: YesNo("bag", "A bag?", confirm=True), "sure", "yes", True),
        (lambda: Code("order"), "alpha b four double two", "A B four, two two", "AB422"),
    ],
)
async def test_each_kind_is_read_back_confirmed_and_kept(
    collector: Callable[[], Collector[Any]], heard: str, spoken: str, kept: Any, tmp_path: Path
) -> None:
    one = collector()
    said, state = await play(one, tmp_path, f"save_{one.field}: {heard}", f"confirm_{one.field}")
    reply = f"{spoken}." if one.field == "bag" else f"I have {spoken}."
    assert said == [f"{reply} Is that right?", "Thank you."]
    answer = state["collected"][one.field]
    assert (answer["value"], answer["spoken"], answer["confirmed"], answer["heard"]) == (kept, spoken, True, heard)
    assert state[one.field] == kept


async def test_a_value_is_no_field_of_the_state_before_it_is_confirmed(tmp_path: Path) -> None:
    said, state = await play(Email("email"), tmp_path, "confirm_email", "save_email: ann at gmail dot com")
    assert said[0] == "I have no e-mail address yet. What is your e-mail address?"
    assert state["email"] == ""
    assert state["collected"]["email"]["value"] == "ann@gmail.com"


@pytest.mark.parametrize(
    ("collector", "parts", "spoken"),
    [
        (lambda: Email("x"), ["ann dot smith at", "gmail dot com"], "ann dot smith at gmail dot com"),
        (lambda: Email("x"), ["ann dot", "smith at gmail dot com"], "ann dot smith at gmail dot com"),
        (lambda: Email("x"), ["ann at acme", "dot org"], "ann at acme dot org"),
        (lambda: Email("x"), ["mary-ann", "at t-online dot de"], "mary dash ann at t dash online dot de"),
        (lambda: Email("x"), ["ann dot smith", "ann dot smith at gmail dot com"], "ann dot smith at gmail dot com"),
        (lambda: Email("x"), ["bob", "ann at gmail dot com"], "ann at gmail dot com"),
        (lambda: Phone("x"), ["415", "555", "0199"], "four one five, five five five, zero one nine nine"),
        (lambda: Phone("x"), ["four one five", "415 555 0199"], "four one five, five five five, zero one nine nine"),
        (lambda: Code("x", pattern="[A-Z]{2}[0-9]{4}"), ["a b", "four two", "one one"], "A B four, two one one"),
        (lambda: Address("x"), ["twelve", "mill lane"], "twelve Mill Lane"),
    ],
)
async def test_a_value_may_come_in_parts(
    collector: Callable[[], Collector[Any]], parts: list[str], spoken: str, tmp_path: Path
) -> None:
    said, state = await play(collector(), tmp_path, *[f"save_x: {part}" for part in parts])
    assert said[-1] == f"I have {spoken}. Is that right?"
    assert all("Is that right" not in earlier for earlier in said[:-1])
    assert state["collected"]["x"]["partial"] == ""


async def test_a_part_is_given_up_when_the_value_before_it_is_confirmed(tmp_path: Path) -> None:
    said = ("ann at example dot com", "bob at", "carl at example dot org")
    saves = [f"save_email: {words}" for words in said]
    spoken, state = await play(Email("email"), tmp_path, *saves[:2], "confirm_email")
    assert spoken[1:] == ["I have bob at so far. And after that?", "Thank you."]
    assert (state["email"], state["collected"]["email"]["partial"]) == ("ann@example.com", "")
    spoken, _ = await play(Email("email"), tmp_path / "again", *saves[:2], "confirm_email", saves[2])
    assert spoken[-1] == "I have carl at example dot org. Is that right?"


async def test_a_part_is_read_back(tmp_path: Path) -> None:
    several = [Email("email"), Phone("phone"), Code("order", pattern="[A-Z]{2}[0-9]{4}")]
    said, _ = await play(
        several,
        tmp_path,
        "save_email: ann dot smith at",
        "save_phone: 415 555",
        "save_order: a b four",
        "save_email: what?",
    )
    assert said[0] == "I have ann dot smith at so far. And after that?"
    assert said[1] == "I have four one five, five five five so far. And the rest?"
    assert said[2] == "I have A B four so far. And the rest?"
    assert "Is that right" not in said[3]


@pytest.mark.parametrize(
    ("collector", "said", "spoken"),
    [
        (lambda: Email("x"), ["save_x: ann dot smith at gmail", "fix_x: smith / s m y t h"], "ann dot smyth at gmail dot com"),
        (lambda: Phone("x"), ["save_x: 415 555 0199", "fix_x: 0199 / oh one nine eight"], "four one five, five five five, zero one nine eight"),
        (lambda: Name("x"), ["save_x: ann smith", "fix_x: smith / smyth"], "Ann Smyth"),
        (lambda: Code("x"), ["save_x: a b four two", "fix_x: a b / a d"], "A D four, two"),
        (lambda: Email("x"), ["save_x: ann at gmail", "save_x: no, bob at gmail"], "bob at gmail dot com"),
    ],
)  # fmt: skip
async def test_a_value_is_corrected(
    collector: Callable[[], Collector[Any]], said: list[str], spoken: str, tmp_path: Path
) -> None:
    heard, state = await play(collector(), tmp_path, said[0], "confirm_x", said[1])
    assert heard[-1] == f"I have {spoken}. Is that right?"
    assert state["collected"]["x"]["confirmed"] is False


async def test_a_correction_of_something_else_is_asked_back(tmp_path: Path) -> None:
    said, state = await play(Name("x"), tmp_path, "save_x: ann smith", "fix_x: jones / smyth", "fix_x: n / m")
    assert said[1] == said[2] == "I did not get what to change. Please say the whole name once more."
    assert state["collected"]["x"]["value"] == "Ann Smith"


@pytest.mark.parametrize(
    ("collector", "heard", "spelled"),
    [
        (
            lambda: Email("x"),
            "abe at gmail",
            "A as in Alpha, B as in Bravo, E as in Echo, at gmail dot com. Is that right?",
        ),
        (lambda: Name("x"), "al", "A as in Alpha, L as in Lima. Is that right?"),
        (lambda: Code("x"), "a 4 b", "A as in Alpha, four, B as in Bravo. Is that right?"),
        (lambda: Address("x"), "2 a street", "two, A as in Alpha"),
    ],
)
async def test_a_value_is_spelled_with_example_words(
    collector: Callable[[], Collector[Any]], heard: str, spelled: str, tmp_path: Path
) -> None:
    said, _ = await play(collector(), tmp_path, "spell_x", f"save_x: {heard}", "spell_x")
    assert said[0].startswith("I have no ")
    assert said[2].startswith(spelled)


async def test_what_comes_next_is_said_after_a_value_without_confirmation(tmp_path: Path) -> None:
    email = Email("email", reply="Noted: {value}.", confirm=False, then=lambda turn: f"Thanks, {turn.state.email}!")
    said, state = await play(email, tmp_path, "save_email: ann at gmail")
    assert said == ["Noted: ann at gmail dot com. Thanks, ann@gmail.com!"]
    assert state["email"] == "ann@gmail.com"


async def test_the_model_is_told_what_is_known(tmp_path: Path) -> None:
    app = LayerCode(form(Email("email")), settings=settings(tmp_path), model="offline")
    async with calling(app) as caller:
        for text in ("save_email: ann at", "save_email: gmail", "confirm_email", "confirm_email"):
            await caller.say(text)
        told = [turn.messages.decode() for turn in await records(app)]
    assert 'not known. Ask: \\"What is your e-mail address?\\"' in told[0]
    assert 'incomplete, heard so far: \\"ann at\\"' in told[1]
    assert 'heard as \\"ann@gmail.com\\", not confirmed' in told[2]
    assert 'known, \\"ann@gmail.com\\"' in told[3]


class Mine:
    """Dependencies that an agent defines itself. They contain the Turn, but are not the Turn."""

    def __init__(self, turn: Turn[Any, Any]) -> None:
        self.turn = turn


async def test_an_agent_with_its_own_dependencies_says_where_the_turn_is(tmp_path: Path) -> None:
    agent = Agent(deps_type=Mine, toolsets=[YesNo("bag", "A bag?", turn=lambda deps: deps.turn)])
    voice = VoiceAgent("form", agent, state=Form, deps=Mine)

    @voice.offline
    async def script(scene: Scene) -> AsyncIterator[str | Call]:
        yield str(scene.answered[-1].result) if scene.answered else Call("save_bag", {"heard": scene.text})

    async with calling(LayerCode(voice, settings=settings(tmp_path), model="offline")) as caller:
        assert (await caller.say("yes please")).spoken == "yes."


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Email("my email"), r"Email field='my email': expected a Python name"),
        (lambda: Choice("size", []), r"Choice options=\[\]: expected names"),
        (lambda: Choice("size", "small"), r"Choice options='small': expected names"),
        (lambda: Money("price", currency="XYZ"), r"Money currency='XYZ': expected one of USD, EUR"),
    ],
)
def test_wrong_declarations_are_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(DeveloperError, match=message):
        make()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "expected a model with the base layercode_app.collect.Collecting"),
        ({"state": Form, "deps": lambda turn: 5}, "the agent's dependencies are int; expected the Turn"),
    ],
)
async def test_a_collector_without_its_state_or_turn_says_what_it_needs(
    options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    voice = VoiceAgent("form", Agent(toolsets=[Email("email")]), apology="Sorry.", **options)

    @voice.offline
    async def script(scene: Scene) -> AsyncIterator[str | Call]:
        yield "Hello."

    logged: list[str] = []
    sink = logger.add(logged.append, format="{exception}")
    async with calling(LayerCode(voice, settings=settings(tmp_path), model="offline")) as caller:
        assert (await caller.say("hello")).spoken == "Sorry."
    logger.remove(sink)
    assert message in "".join(logged)


@pytest.mark.parametrize(
    ("module", "kind", "library"),
    [
        ("email_validator", "Email('x')", "email-validator"),
        ("phonenumbers", "Phone('x')", "phonenumbers"),
        ("dateutil", "Date('x')", "python-dateutil"),
        ("num2words", "Name('x')", "num2words"),
    ],
)
@pytest.mark.slow
def test_a_missing_library_is_named_with_its_extra(module: str, kind: str, library: str) -> None:
    code = f"import sys; sys.modules[{module!r}] = None\nfrom layercode_app.collect import *\n{kind}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert f"needs the library {library}, which is not installed" in done.stderr
    assert 'pip install "layercode-app[collect]"' in done.stderr


WITHOUT = """
import sys
sys.modules["phonenumbers"] = None
from layercode_app.agent.discovery import discover
found = discover()
assert not found.failed, found.failed
assert "bakery" in found.agents
try:
    found.get("phone_intake")
except Exception as error:
    print(type(error).__name__, error)
"""


@pytest.mark.slow
def test_an_included_agent_without_its_library_is_no_failure(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.startswith("AgentImportError")
    assert 'pip install "layercode-app[collect]"' in done.stdout
