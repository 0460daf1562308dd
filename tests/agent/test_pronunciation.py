"""Numbers, money, dates, addresses and abbreviations are said as words, however the text is cut into pieces."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic_ai import Agent
from pydantic_ai.models.function import FunctionModel

from layercode_app import LayerCode, Speakable, VoiceAgent
from layercode_app.exceptions import DeveloperError

from ..calling import calling, settings
from ..priced import records
from .spoken_forms import BRITISH, FIRST_WORDS, SPOKEN, UNCHANGED

AMERICAN = Speakable(numbers=True)
OTHER = Speakable(
    numbers=True, language="en-GB", replace={"LayerCode": "layer code", "Aoife": "Eefa", "C++": "C plus plus"}
)


def said(*pieces: str, by: Speakable = AMERICAN) -> str:
    one = by.fresh()
    return "".join([one.feed(piece) for piece in pieces]) + one.flush()


def said_in_every_split(text: str, by: Speakable = AMERICAN) -> set[str]:
    cuts = {said(text[:cut], text[cut:], by=by) for cut in range(len(text) + 1)}
    return {*cuts, said(*text, by=by)}


def test_the_table_is_large() -> None:
    assert len({written for written, _ in SPOKEN}) >= 200


@pytest.mark.parametrize(("written", "spoken"), SPOKEN)
def test_a_form_is_said_as_words_in_every_split(written: str, spoken: str) -> None:
    assert said_in_every_split(written) == {spoken}


@pytest.mark.parametrize(("written", "spoken"), SPOKEN[:: len(SPOKEN) // 40])
def test_a_form_within_a_sentence_is_said_in_the_same_words(written: str, spoken: str) -> None:
    assert (
        said_in_every_split(f"Well, {written}, then.") == {f"Well, {spoken.rstrip('.')}, then."} or written[-1] == "."
    )


@pytest.mark.parametrize("dash", ["-", "\u2013"])
@pytest.mark.parametrize("first", ["10%", "20°C", "16GB", "5 km", "10k", "1st", "1990s", "$5/month", "2h 15m"])
@pytest.mark.parametrize("second", ["20%", "25°C", "32GB", "$10", "20k", "3rd", "2h 30m"])
def test_a_dash_between_two_forms_is_a_range_and_no_minus(first: str, dash: str, second: str) -> None:
    assert said_in_every_split(first + dash + second) == {f"{said(first)} to {said(second)}"}


@pytest.mark.parametrize(("written", "spoken"), BRITISH)
def test_a_form_is_said_as_in_britain(written: str, spoken: str) -> None:
    assert said_in_every_split(written, OTHER) == {spoken}


@pytest.mark.parametrize("text", UNCHANGED)
def test_ordinary_text_is_not_changed(text: str) -> None:
    assert said_in_every_split(text) == {text}


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("LayerCode is here", "layer code is here"),
        ("MyLayerCode, LayerCodes and layercode", "MyLayerCode, LayerCodes and layercode"),
        ("Ask Aoife.", "Ask Eefa."),
        ("C++ and C", "C plus plus and C"),
        ("It costs $5 at LayerCode", "It costs five dollars at layer code"),
    ],
)
def test_chosen_words_are_replaced_whole(written: str, spoken: str) -> None:
    assert said_in_every_split(written, OTHER) == {spoken}
    alone = Speakable(replace={"LayerCode": "layer code", "Aoife": "Eefa", "C++": "C plus plus"})
    assert said(written, by=alone) == spoken.replace("five dollars", "$5")


@given(
    st.text(alphabet="0123456789 .,:/-$€%+@apmkMxD'()#~<=_&\n", max_size=40), st.lists(st.integers(0, 40), max_size=6)
)
@example("$5.50", [2, 3])
@example("4:15 p.m. Us", [5, 8, 10])
def test_any_pieces_give_the_same_words(text: str, cuts: list[int]) -> None:
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    assert said(*[text[start:end] for start, end in pairwise(edges)]) == said(text)


@pytest.mark.parametrize(
    ("pieces", "at_once"),
    [
        (["Hello", " there", ","], ["Hello", " there", ","]),
        (["I", " am", " here"], ["I", " am", " here"]),
        (["A", " table"], ["A", " table"]),
        (["No", "thing"], ["No", "thing"]),
        (["Great", "!"], ["Great", ""]),  # the markdown filter holds a mark
        (["May", " I"], ["May", " I"]),
        (["Your", " order"], ["Your", " order"]),
        (["It", " is", " $5", ".5", "0", " now"], ["It", " is", " ", "", "", "five dollars and fifty cents now"]),
        (["At", " 5", " to"], ["At", " ", "five to"]),
        (["ann", ".smith@", "x.com", " ok"], ["ann", "", "", " dot smith at x dot com ok"]),
    ],
)
def test_no_word_is_delayed_by_a_piece(pieces: list[str], at_once: list[str]) -> None:
    one = AMERICAN.fresh()
    assert [one.feed(piece) for piece in pieces] == at_once


@pytest.mark.parametrize("word", FIRST_WORDS.split())
def test_the_first_word_of_ordinary_text_is_returned_at_once(word: str) -> None:
    one = AMERICAN.fresh()
    assert one.feed(word) == word
    assert one.feed(" of") == " of"


def test_a_very_long_number_is_not_held_for_ever() -> None:
    one = AMERICAN.fresh()
    assert len(one.feed("7 1" * 400)) > 1000


def test_fresh_filters_share_nothing_but_the_options() -> None:
    one, two = OTHER.fresh(), OTHER.fresh()
    one.feed("<think>")
    assert two.feed("LayerCode, ") == "layer code, "


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"numbers": "yes"}, r"numbers='yes': expected True or False"),
        ({"language": "tlh"}, r"language='tlh': expected one of en, en-US, en-GB"),
        ({"replace": {"": "x"}}, r"replace contains '': 'x'\. Both must be texts"),
        ({"replace": {"a": 1}}, r"replace contains 'a': 1\. Both must be texts"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(DeveloperError, match=message):
        Speakable(**options)


def test_a_wrong_filter_is_refused() -> None:
    with pytest.raises(DeveloperError, match=r"speakable='yes': expected True, False or Speakable"):
        VoiceAgent("echo", greeting="Hi.", speakable="yes")  # type: ignore[call-overload]


WITHOUT = """
import sys
sys.modules["num2words"] = None
from layercode_app import Speakable
from layercode_app.exceptions import DeveloperError
assert Speakable().feed("**5") == "5"
try:
    Speakable(numbers=True)
except DeveloperError as error:
    print(error)
"""


def test_a_missing_library_is_named_with_its_extra() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=True)
    assert 'pip install "layercode-app[speech]"' in done.stdout


PLAIN = """
import sys
from layercode_app import Speakable, VoiceAgent
VoiceAgent("echo", greeting="Hi.", speakable=True)
print(any(name.startswith(("num2words", "layercode_app.agent.pronunciation")) for name in sys.modules))
"""


def test_an_agent_without_it_does_not_even_import_it() -> None:
    done = subprocess.run([sys.executable, "-c", PLAIN], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


# --- in a turn


@pytest.mark.anyio
async def test_a_turn_speaks_words_and_the_model_remembers_what_it_wrote(tmp_path: Path) -> None:
    async def model(messages: Any, info: Any) -> AsyncIterator[str]:
        for piece in ["That is **$", "5", ".5", "0**, ready at 4", ":15 p", "m", "."]:
            yield piece

    voice = VoiceAgent("shop", Agent(FunctionModel(stream_function=model)), speakable=Speakable(numbers=True))
    app = LayerCode(voice, settings=settings(tmp_path))
    async with calling(app) as caller:
        reply = await caller.say("How much is it?")
        assert reply.spoken == "That is five dollars and fifty cents, ready at four fifteen p m."
        again = await caller.say("And again?")
        (first, _) = await records(app)
    assert again.spoken == first.spoken_text == reply.spoken
    assert b"$5.50" in first.messages
