"""A tool that needs a confirmation runs after the caller's yes, and only then."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from pydantic import BaseModel
from pydantic_ai import Agent, DeferredToolRequests, RunContext
from pydantic_ai.messages import ModelMessage, ToolReturnPart, UserPromptPart
from pydantic_ai.models.function import DeltaToolCall, FunctionModel
from pydantic_ai.models.instrumented import InstrumentationSettings

from layercode_app import Confirm, Turn, VoiceAgent
from layercode_app.agent.faults import fault_of_agent
from layercode_app.agent.yes_no import NO, YES, plain_answer
from layercode_app.cli.sessions.view import print_conversation
from layercode_app.journal.record import Kind, Status, TurnRecord
from layercode_app.journal.stores.memory import MemoryStore
from layercode_app.testing import open_call

from ..conversation.world import transcript, unpaired_calls

pytestmark = pytest.mark.anyio

QUESTION = "Shall I place the order for 5 euros?"


class Basket(BaseModel):
    price: int = 5
    placed: list[int] = []

    @property
    def total(self) -> str:
        return f"{self.price} euros"


Script = Callable[[str], Sequence[Any]]
"""Maps the caller's words to the model's answer: texts, and tool calls, each as a name and arguments."""


def order(quantity: int = 1) -> tuple[str, str]:
    return "place_order", f'{{"quantity": {quantity}}}'


def plain_script(said: str) -> Sequence[Any]:
    known: dict[str, Sequence[Any]] = {
        "order": ["Gladly. ", order()],
        "go for it": [order()],
        "make it two": [order(2)],
        "both": [order(1), order(2)],
    }
    return known.get(said, ["Fine."])


class Shop:
    """An agent that places orders; its model follows a script and says what the tools returned."""

    def __init__(self, script: Script = plain_script, *, approval: bool = False, **options: Any) -> None:
        self.seen: list[list[ModelMessage]] = []
        self.script = script
        agent = Agent(FunctionModel(stream_function=self._model), deps_type=Turn[Basket])

        @agent.tool(requires_approval=approval)
        async def place_order(ctx: RunContext[Turn[Basket]], quantity: int) -> str:
            """Place the order. It is then baked."""
            ctx.deps.state.placed.append(quantity)
            return f"placed {quantity}"

        if not approval:
            options = {"confirm": {"place_order": "Shall I place the order for {total}?"}} | options
        self.voice = VoiceAgent("shop", agent, state=Basket, filler=False, **options)

    async def _model(self, messages: list[ModelMessage], info: Any) -> AsyncIterator[Any]:
        self.seen.append(messages)
        assert unpaired_calls(messages) == []
        last = messages[-1].parts
        returned = [str(part.content) for part in last if isinstance(part, ToolReturnPart)]
        if returned and not any(isinstance(part, UserPromptPart) for part in last):
            yield " and ".join(returned) + "."
            return
        for number, piece in enumerate(self.script(transcript(messages)[-1][1])):
            if isinstance(piece, str):
                yield piece
            else:
                name, args = piece
                yield {number: DeltaToolCall(name, args, tool_call_id=f"call-{len(messages)}-{number}")}

    def told(self) -> str:
        """All that the last request told the model."""
        return "\n".join(str(getattr(part, "content", "")) for message in self.seen[-1] for part in message.parts)


# --- yes and no


@pytest.mark.parametrize("yes", ["Yes.", "yes please", "Okay, go ahead!", "uh-huh", "Ja, gerne."])
async def test_the_question_is_asked_and_yes_runs_the_tool(yes: str) -> None:
    shop = Shop()
    async with open_call(shop.voice) as call:
        asked = await call.say("order")
        assert (asked.spoken, await call.state()) == (f"Gladly. {QUESTION}", {"price": 5, "placed": []})
        assert asked.tools == []
        done = await call.say(yes)
        assert (done.spoken, (await call.state())["placed"]) == ("placed 1.", [1])
        assert (await call.say("yes")).spoken == "Fine.", "a yes counts once"
        assert (await call.state())["placed"] == [1]
    told = transcript(shop.seen[-1])
    assert told == [
        ("user", "order"), ("assistant", f"Gladly. {QUESTION}"), ("user", yes), ("assistant", "placed 1."), ("user", "yes")
    ]  # fmt: skip
    assert len(shop.seen) == 3, "plain answers need no model to be understood"


@pytest.mark.parametrize("no", ["no", "No, thank you.", "nope, cancel that", "nein danke"])
async def test_no_does_not_run_it_and_the_model_is_told(no: str) -> None:
    shop = Shop()
    async with open_call(shop.voice) as call:
        await call.say("order")
        denied = await call.say(no)
        assert "said no" in denied.spoken
        assert (await call.state())["placed"] == []
        assert (await call.say("yes")).spoken == "Fine."
        assert (await call.state())["placed"] == []


async def test_a_tool_that_requires_approval_is_asked_about_with_its_description() -> None:
    shop = Shop(approval=True)
    async with open_call(shop.voice) as call:
        assert (await call.say("order")).spoken == "Gladly. Place the order. Shall I go ahead?"
        assert (await call.say("yes")).spoken == "placed 1."
        assert (await call.state())["placed"] == [1]


async def test_an_agent_whose_own_output_has_the_requests_is_not_silent() -> None:
    async def model(messages: list[ModelMessage], info: Any) -> AsyncIterator[Any]:
        if isinstance(messages[-1].parts[-1], ToolReturnPart):
            yield "Done."
        else:
            yield {1: DeltaToolCall("pay", "{}", tool_call_id="call-1")}

    agent = Agent(FunctionModel(stream_function=model), output_type=[str, DeferredToolRequests])

    @agent.tool_plain(requires_approval=True)
    async def pay() -> str:
        return "paid"

    async with open_call(VoiceAgent("payer", agent, filler=False)) as call:
        assert (await call.say("pay")).spoken == "Pay. Shall I go ahead?"
        assert (await call.say("sure")).spoken == "Done."


@pytest.mark.parametrize(
    ("answer", "spoken"), [("Cancel it.", "placed 1."), ("No, thanks.", "The caller said no, so it was not run..")]
)
async def test_an_answer_that_may_agree_with_the_question_is_left_to_the_model(answer: str, spoken: str) -> None:
    def script(said: str) -> Sequence[Any]:
        return [order()] if said in ("order", "Cancel it.") else ["Fine."]

    async with open_call(Shop(script, confirm={"place_order": "Shall I cancel your booking?"}).voice) as call:
        await call.say("order")
        assert (await call.say(answer)).spoken == spoken


# --- the question


async def test_a_question_may_be_a_function_of_the_turn_and_the_arguments() -> None:
    async def question(turn: Turn[Basket], args: dict[str, Any]) -> str:
        return f"Is {args['quantity']} for {turn.state.total} right?"

    async with open_call(Shop(confirm={"place_order": question}).voice) as call:
        assert (await call.say("order")).spoken.endswith("Is 1 for 5 euros right?")
        assert (await call.say("right")).spoken == "placed 1."


@pytest.mark.parametrize(
    ("question", "asked"),
    [
        ("For {when}?", "For today?"),
        (lambda turn, args: f"For {args['when']}?", "For today?"),
        ("For {name}?", "Book. Shall I go ahead?"),  # its default, None, is no answer to the question
    ],
)
async def test_an_argument_that_was_left_out_has_the_default_of_the_tool(question: Any, asked: str) -> None:
    async def answer(messages: list[ModelMessage], info: Any) -> AsyncIterator[Any]:
        yield {0: DeltaToolCall("book", "{}", tool_call_id="call")}

    agent = Agent(FunctionModel(stream_function=answer))

    @agent.tool_plain
    async def book(when: str = "today", name: str | None = None) -> None:
        """Book."""

    async with open_call(VoiceAgent("shop", agent, filler=False, confirm={"book": question})) as call:
        assert (await call.say("book")).spoken == asked


@pytest.mark.parametrize("question", ["For {nothing}?", lambda turn, args: 1 / 0, lambda turn, args: ""])
async def test_a_question_that_fails_is_replaced_by_the_default(question: Any) -> None:
    async with open_call(Shop(confirm={"place_order": question}).voice) as call:
        assert (await call.say("order")).spoken == "Gladly. Place the order. Shall I go ahead?"


async def test_further_words_mean_yes_and_no() -> None:
    shop = Shop(confirm={"place_order": Confirm(yes=["make it so"], no=["okay"])})
    async with open_call(shop.voice) as call:
        await call.say("order")
        assert "said no" in (await call.say("okay")).spoken
        await call.say("order")
        assert (await call.say("Make it so!")).spoken == "placed 1."


async def test_parallel_calls_are_asked_and_run_together() -> None:
    shop = Shop(confirm={"place_order": "Shall I order {quantity}?"})
    async with open_call(shop.voice) as call:
        assert (await call.say("both")).spoken == "Shall I order 1? Shall I order 2?"
        assert (await call.say("yes")).spoken == "placed 1 and placed 2."
        assert sorted((await call.state())["placed"]) == [1, 2]


# --- the model decides


async def test_a_model_that_repeats_the_call_has_understood_a_yes() -> None:
    shop = Shop()
    async with open_call(shop.voice) as call:
        await call.say("order")
        assert (await call.say("go for it")).spoken == "placed 1."
        assert (await call.state())["placed"] == [1]
    assert "Not run yet: the caller was asked" in str(shop.seen[1])


class Eager(Shop):
    """A shop whose model calls the tool again after the tool has returned."""

    async def _model(self, messages: list[ModelMessage], info: Any) -> AsyncIterator[Any]:
        self.seen.append(messages)
        returned = any(isinstance(part, ToolReturnPart) for part in messages[-1].parts)
        if transcript(messages)[-1][1] in ("order", "go for it") or returned:
            yield {0: DeltaToolCall(*order(), tool_call_id=f"call-{len(messages)}")}
        else:
            yield "Fine."


async def test_one_answer_is_good_for_one_run() -> None:
    shop = Eager()
    async with open_call(shop.voice) as call:
        await call.say("order")
        assert (await call.say("go for it")).spoken == QUESTION
        assert (await call.state())["placed"] == [1]


async def test_changed_arguments_are_asked_again() -> None:
    shop = Shop(confirm={"place_order": "Shall I order {quantity}?"})
    async with open_call(shop.voice) as call:
        await call.say("order")
        assert (await call.say("make it two")).spoken == "Shall I order 2?"
        assert (await call.state())["placed"] == []
        assert (await call.say("yes")).spoken == "placed 2."
        assert (await call.state())["placed"] == [2]


class Growing(Shop):
    """A shop with a second tool, `add_roll`, which needs no confirmation and changes the total.

    After `add_roll` has run, the model calls `place_order` again. The caller was asked about this tool call before, but
    with the old total.
    """

    def __init__(self) -> None:
        super().__init__(lambda said: [("add_roll", "{}")] if said == "add a roll and go" else plain_script(said))
        agent = self.voice.agent
        assert isinstance(agent, Agent)

        @agent.tool
        async def add_roll(ctx: RunContext[Turn[Basket]]) -> str:
            """Add a roll."""
            ctx.deps.state.price += 2
            return "a roll added"

    async def _model(self, messages: list[ModelMessage], info: Any) -> AsyncIterator[Any]:
        last = messages[-1].parts[-1]
        if isinstance(last, ToolReturnPart) and last.tool_name == "add_roll":
            self.seen.append(messages)
            yield {0: DeltaToolCall(*order(), tool_call_id=f"call-{len(messages)}")}
            return
        async for piece in super()._model(messages, info):
            yield piece


async def test_a_repeated_call_whose_question_has_changed_is_asked_again() -> None:
    shop = Growing()
    async with open_call(shop.voice) as call:
        assert (await call.say("order")).spoken == f"Gladly. {QUESTION}"
        assert (await call.say("add a roll and go")).spoken == "Shall I place the order for 7 euros?"
        assert (await call.state())["placed"] == []
        assert (await call.say("go for it")).spoken == "placed 1."
        assert (await call.state())["placed"] == [1]


async def test_another_subject_drops_the_call_and_the_model_is_told() -> None:
    shop = Shop()
    async with open_call(shop.voice) as call:
        await call.say("order")
        assert (await call.say("what time is it")).spoken == "Fine."
        assert (await call.say("yes")).spoken == "Fine."
        assert (await call.state())["placed"] == []
        assert "place_order was not run" in shop.told()
        assert (await call.say("go for it")).spoken == QUESTION, "it is asked about again"


@pytest.mark.parametrize("change", ["silence", "session"])
async def test_silence_and_a_new_session_drop_the_call(change: str) -> None:
    shop = Shop()
    async with open_call(shop.voice) as call:
        await call.say("order")
        if change == "silence":
            assert (await call.say(" ")).spoken == ""
        else:
            call.reconnect()
        await call.say("yes")
        await call.say("hm")
        assert (await call.state())["placed"] == []
    assert "place_order was not run" in shop.told()


# --- interruptions and duplicates


@pytest.mark.parametrize("said", ["yes", "no", " "])
async def test_a_question_that_was_not_heard_is_asked_again(said: str) -> None:
    shop = Shop()
    async with open_call(shop.voice) as call:
        call.interrupt(after=3, playing=True)
        await call.say("order")
        assert (await call.say(said)).spoken == QUESTION
        assert (await call.state())["placed"] == []
        assert (await call.say("yes")).spoken == "placed 1."
        assert (await call.state())["placed"] == [1]
    assert len(shop.seen) == 2


@pytest.mark.parametrize("said", ["mhm", "yes", " "])
async def test_what_was_said_before_an_unheard_question_is_said_again_too(said: str) -> None:
    shop = Shop(lambda text: ["Two rolls to Main Street make five euros. ", order()] if text == "order" else ["Fine."])
    async with open_call(shop.voice) as call:
        call.interrupt(after=3, playing=True)
        await call.say("order")
        assert (await call.say(said)).spoken == f"Main Street make five euros. {QUESTION}"
        assert (await call.state())["placed"] == []
        assert (await call.say("yes")).spoken == "placed 1."


async def test_other_words_before_the_question_was_heard_are_answered_and_it_is_asked_again() -> None:
    shop = Shop()
    async with open_call(shop.voice) as call:
        call.interrupt(after=3, playing=True)
        await call.say("order")
        assert (await call.say("is it warm")).spoken == f"Fine. {QUESTION}"
        assert (await call.say("yes")).spoken == "placed 1."


async def test_a_question_that_was_interrupted_at_its_last_word_was_heard() -> None:
    async with open_call(Shop().voice) as call:
        call.interrupt(after=QUESTION, playing=True)
        await call.say("order")
        assert (await call.say("yes")).spoken == "placed 1."


async def test_a_duplicate_of_the_answer_runs_nothing_twice() -> None:
    async with open_call(Shop().voice) as call:
        await call.say("order")
        assert (await call.resend()).spoken.endswith(QUESTION)
        await call.say("yes")
        assert (await call.resend()).spoken == "placed 1."
        assert (await call.state())["placed"] == [1]


async def test_a_sound_is_an_answer_and_no_backchannel() -> None:
    async with open_call(Shop(backchannels=True).voice) as call:
        call.interrupt(after=3, playing=True)
        await call.say("order")
        assert (await call.say("mhm")).spoken == QUESTION
        assert (await call.say("mhm")).spoken == "placed 1."


async def test_an_answer_that_was_interrupted_before_the_tool_ran_can_be_given_again() -> None:
    store = MemoryStore()
    async with open_call(Shop().voice, store=store) as call:
        await call.say("order")
        (asked,) = await call.records()
        stopped = TurnRecord(call.conversation_id, "stopped", Kind.MESSAGE, "shop", session_id=asked.session_id)
        begun = await store.begin(stopped, history_tokens=0)
        begun.record.status, begun.record.user_text = Status.SUPERSEDED, "yes"
        begun.record.pending = asked.pending | {"heard": True}
        await store.save(begun.record)
        assert (await call.say("yes")).spoken == "placed 1."


async def test_a_yes_after_an_objection_of_the_guard_runs_nothing() -> None:
    async def guard(turn: Turn[Basket]) -> str | None:
        while turn.text == "order" and not turn.record.pending:
            await asyncio.sleep(0.01)
        return "I may not do that." if turn.text == "order" else None

    async with open_call(Shop(guard=guard).voice) as call:
        assert (await call.say("order")).spoken.endswith("I may not do that.")
        assert (await call.say("yes")).spoken == "Fine."
        assert (await call.state())["placed"] == []


async def test_with_spans_recorded_the_caller_is_asked_too() -> None:
    Agent.instrument_all(InstrumentationSettings(tracer_provider=TracerProvider(shutdown_on_exit=False)))
    try:
        async with open_call(Shop().voice) as call:
            assert (await call.say("order")).spoken == f"Gladly. {QUESTION}"
            assert (await call.say("go for it")).spoken == "placed 1."
    finally:
        Agent.instrument_all(False)


async def test_a_waiting_call_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    async with open_call(Shop().voice) as call:
        await call.say("order")
        print_conversation(await call.records(), as_json=False)
    out = capsys.readouterr().out
    assert "Asked:  place_order(" in out
    assert "waits for the caller's answer" in out


# --- what is declared


def test_wrong_declarations_are_named() -> None:
    shop = Shop(confirm={"place_ordr": "Shall I?"})
    assert "confirm={'place_ordr': …}: the agent has no such tool. Did you mean 'place_order'?" in fault_of_agent(
        shop.voice
    )
    checked = Shop()
    assert fault_of_agent(checked.voice) == ""
    assert checked.voice.agent is not None

    @checked.voice.agent.output_validator  # type: ignore[attr-defined,untyped-decorator]
    def accept(output: str) -> str:
        return output

    assert "output_type=[str, DeferredToolRequests]" in fault_of_agent(checked.voice)


def test_an_agent_that_confirms_nothing_has_its_own_output_type() -> None:
    assert not VoiceAgent("plain", Agent()).asks_first
    assert Shop().voice.asks_first
    assert Shop(approval=True).voice.asks_first


def test_every_known_word_is_a_yes_or_a_no() -> None:
    assert {plain_answer(word) for words in YES.values() for word in words} == {"yes"}
    assert {plain_answer(word) for words in NO.values() for word in words} == {"no"}


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Shall I cancel your booking for Friday?", "Cancel that, please."),
        ("Cancel the booking. Shall I go ahead?", "Cancel."),
        ("Is it fine if I end the subscription?", "Stop, please."),
        ("Are you fine with cancelling it?", "cancel it"),
        ("Shall I call off the meeting?", "cancel it"),
        ("Soll ich die Buchung stornieren?", "Abbrechen, bitte."),
        ("Dois-je supprimer la réservation ?", "Annulez, s'il vous plaît."),
        ("¿Anulo la reserva?", "Cancélalo, por favor."),
        ("Disdico la prenotazione?", "Annulla."),
        ("Zal ik de afspraak afzeggen?", "annuleer"),
        ("Desmarco a consulta?", "Cancela, por favor."),
        ("Deixo marcado para as oito?", "Deixa."),
    ],
)
def test_a_verb_of_the_question_is_no_plain_no(question: str, answer: str) -> None:
    assert plain_answer(answer) == "no"
    assert plain_answer(answer, question=question) is None
    assert plain_answer(answer, no=[answer], question=question) == "no", "the developer's own words count"


@pytest.mark.parametrize(
    "no", ["no", "Nope.", "nein danke", "pas du tout", "mejor no", "meglio di no", "nee", "agora não"]
)
def test_other_words_mean_no_to_a_question_about_cancelling_too(no: str) -> None:
    assert plain_answer(no, question="Shall I cancel your booking?") == "no"


@pytest.mark.parametrize(
    "question",
    [
        "Shall I book a table for the end of May?",
        "Shall I book a taxi from the bus stop?",
        "Shall I leave a message for Bob?",
        "Shall I send the closing documents?",
        "Book the Ferm Hotel. Shall I go ahead?",
        "Are you quite sure about the terminal?",
    ],
)
def test_a_word_that_only_looks_like_a_verb_of_ending_changes_no_answer(question: str) -> None:
    assert plain_answer("Cancel that, please.", question=question) == "no"


@pytest.mark.parametrize(
    "question",
    ["Shall I close it?", "It is paid. Stop it now?", "Do you want to quit?", "Shall I now end your plan?"],
)
def test_a_word_that_may_be_a_noun_counts_where_it_is_a_verb(question: str) -> None:
    assert plain_answer("Cancel that, please.", question=question) is None


@pytest.mark.parametrize("text", ["", "please", "yes but two", "not yet", "yes no", "thanks", "no problem"])
def test_anything_else_is_left_to_the_model(text: str) -> None:
    assert plain_answer(text) is None


def test_a_long_run_of_phrases_is_read_at_once() -> None:
    """Some phrases consist of other phrases: "ja gerne" can be read as one phrase, or as "ja" and "gerne".

    For 500 of them, a regular expression would try 2 ** 500 readings.
    """
    assert plain_answer("ja gerne " * 500 + "wait") is None
    assert plain_answer("ja gerne " * 500) == "yes"
    assert plain_answer("please " * 500) is None
