"""A replayed call shows no difference if the agent is unchanged. If the agent was changed, each difference is named."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai import Agent, ModelRetry

from layercode_app import VoiceAgent, find_agent
from layercode_app.cli.main import exit_code
from layercode_app.cli.sessions.view import write_export
from layercode_app.exceptions import LayerCodeError
from layercode_app.journal.record import Kind, Speech, Status, TurnRecord
from layercode_app.judging.judge import Verdict
from layercode_app.replay.recording import Recording, read_export, said
from layercode_app.replay.replay import Options, Replay
from layercode_app.replay.replay import replay as play
from layercode_app.testing import open_call, scripted

from ..agents.talking import AGENTS
from ..model_server import ModelServer
from ..serving import serve
from .recorded import change, copied_agents, record_bakery, run, run_json

pytestmark = pytest.mark.anyio


@pytest.fixture
async def bakery(tmp_path: Path) -> tuple[str, ...]:
    """Record a call. Return the command-line arguments that replay it on a copy of the agents."""
    conversation = await record_bakery(tmp_path)
    store = f"sqlite:///{tmp_path}/journal.sqlite3"
    return "replay", conversation, "--store", store, "--agents", str(copied_agents(tmp_path))


def differing(result: Any) -> dict[int, list[dict[str, Any]]]:
    return {turn["number"]: turn["differences"] for turn in result["turns"] if turn["differences"]}


@pytest.mark.slow
async def test_the_same_agent_differs_in_nothing(bakery: tuple[str, ...]) -> None:
    result: Any = None
    for options in ((), ("--run-tools",), ("--semantic",)):
        code, result = await run_json(*bakery, *options)
        assert (code, result["ok"], differing(result)) == (0, True, {})
    assert [turn["caller"][:3] for turn in result["turns"]] == ["", "Two", "Wha", "A s", "Tha"]
    assert result["turns"][2]["recorded"].startswith("Let me look. We have"), "the interrupted turn is replayed too"
    assert result["versions"]["recorded"] == [result["versions"]["today"]]
    shown = await run(*bakery)
    assert "No difference." in shown.stdout
    assert "has changed" not in shown.stdout
    assert "Not compared in turn 2, 3, 4, 5: data" in shown.stdout


async def test_a_changed_tool_is_named_with_what_was_recorded_and_what_came(
    bakery: tuple[str, ...], tmp_path: Path
) -> None:
    change(tmp_path / "changed/bakery.py", '"croissant": 2.4', '"croissant": 2.5')
    code, result = await run_json(*bakery, "--run-tools")
    assert code == 1
    different = differing(result)
    assert set(different) == {2, 3, 4, 5}
    assert different[2][0] == {
        "what": "result of add_item",
        "recorded": "The basket comes to 4 euros 80.",
        "came": "The basket comes to 5 euros.",
    }
    data = [difference for difference in different[2] if difference["what"] == "data"]
    assert [(d["recorded"]["basket"]["total"], d["came"]["basket"]["total"]) for d in data] == [
        (4.8, 5.0),
        (7.6, 7.8),
    ]
    assert different[3][0]["what"] == "result of menu"
    shown = await run(*bakery, "--run-tools")
    assert shown.exit_code == 1
    assert "4 of 5 turns differ." in shown.stdout


async def test_a_tool_that_takes_other_arguments_is_a_difference_and_no_crash(
    bakery: tuple[str, ...], tmp_path: Path
) -> None:
    change(tmp_path / "changed/bakery.py", "item: str, quantity: int", "item: str, quantity: int, size: str")
    code, result = await run_json(*bakery)
    first = differing(result)[2][0]
    assert (code, first["what"], first["recorded"]) == (1, "tool", "add_item(item='croissant', quantity=2)")
    assert first["came"].startswith("the call was refused: ")
    assert "size" in first["came"]
    assert "The agent has changed" in (await run(*bakery)).stdout


async def test_another_prompt_is_a_difference_although_the_answers_are_recorded_ones(
    bakery: tuple[str, ...], tmp_path: Path
) -> None:
    change(tmp_path / "changed/prompts/bakery.md", "warmly", "coolly")
    _, result = await run_json(*bakery)
    assert {number: [d["what"] for d in found] for number, found in differing(result).items()} == {
        number: ["instructions"] for number in (2, 3, 4, 5)
    }
    assert differing(result)[2][0]["recorded"].endswith("Sunrise Bakery, warmly")
    assert differing(result)[2][0]["came"].endswith("Sunrise Bakery, coolly")
    change(tmp_path / "changed/prompts/bakery.md", "coolly", "WARMLY")
    assert differing((await run_json(*bakery, "--semantic"))[1]) == {}


@pytest.mark.slow
async def test_an_exported_file_is_replayed_like_the_journal(bakery: tuple[str, ...], tmp_path: Path) -> None:
    _, conversation, *store = bakery
    for name, options in (("call.json", ["--unredacted"]), ("call.html", ["--html", "--unredacted"]), ("m.json", [])):
        exported = await run("sessions", "export", conversation, "-o", tmp_path / name, *options, *store[:2])
        assert exported.exit_code == 0, exported.output
        code, result = await run_json("replay", tmp_path / name, *store)
        assert (code, differing(result), len(result["turns"])) == (0, {}, 5)
        assert result["masked"] is (name == "m.json")
    # The last digits alone are not searched for, because a time or an id can contain them too.
    masked = (tmp_path / "m.json").read_text()
    assert [number for number in ("555 0199", "5550199") if number in masked] == []
    change(tmp_path / "changed/bakery.py", '"croissant": 2.4', '"croissant": 2.5')
    code, result = await run_json("replay", tmp_path / "call.json", "--run-tools", *store)
    assert (code, differing(result)[2][0]["came"]) == (1, "The basket comes to 5 euros.")


async def test_what_cannot_be_replayed_exits_with_2(bakery: tuple[str, ...], tmp_path: Path) -> None:
    _, conversation, *rest = bakery
    (tmp_path / "wrong.json").write_text('[{"turn_id": "t"}]')
    (tmp_path / "empty.json").write_text("[]")
    async with open_call(find_agent("echo", AGENTS)) as call:
        await call.send_data({"page": 1})
        write_export(await call.records(), html=False, output=tmp_path / "silent.json", redacted=True)
    for words, message in (
        (["replay", "nobody", *rest], "'nobody' is not in the journal"),
        (["replay", tmp_path / "none.json", *rest], "no such file"),
        (["replay", tmp_path / "wrong.json", *rest], "is not a call in the export format of this version"),
        (["replay", tmp_path / "empty.json", *rest], "holds no turns"),
        (["replay", tmp_path / "silent.json", *rest], "holds no turn that can be answered again"),
        (["replay", conversation, "--model", "banana", *rest], "--model banana"),
        (["replay", conversation, "--judge", "banana", *rest], "--judge banana"),
        (["replay", conversation, "--store", "memory"], "the journal exists only inside the server"),
    ):
        error = (await run(*words)).exception
        assert isinstance(error, LayerCodeError)
        assert (exit_code(error), message in str(error)) == (2, True), error


# --- in process


async def replayed(voice: VoiceAgent[Any, Any], *said: str, now: VoiceAgent[Any, Any], **options: Any) -> Replay:
    return await play(await recorded(voice, *said), now, Options(**options))


async def recorded(voice: VoiceAgent[Any, Any], *said: str) -> Recording:
    """Record a call in which the caller interrupts the reply to the second message after three words."""
    async with open_call(voice) as call:
        await call.greet()
        for number, text in enumerate(said):
            if number == 1:
                call.interrupt(after=3)
            await call.say(text)
        return Recording(await call.records())


def found(result: Replay) -> list[tuple[int, str, Any, Any]]:
    return [(turn.number, d.what, d.recorded, d.came) for turn in result.turns for d in turn.differences]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("echo", ["one two three", "four five six", "seven"]),
        ("concierge", ["A restaurant", "Book a table", "Thanks"]),
        ("phone_intake", ["Ada", "It is 415 555 0199", "It is 415 555 0199", "tomorrow", "yes"]),
    ],
)
async def test_hooks_helpers_and_hang_ups_are_replayed(name: str, said: list[str]) -> None:
    agent = find_agent(name, AGENTS)
    call = await recorded(agent, *said)
    for options in (Options(), Options(run_tools=True)):
        assert found(await play(call, agent, options)) == []


async def test_turns_that_the_agent_did_not_answer_are_left_out_with_the_reason() -> None:
    call = await recorded(find_agent("echo", AGENTS), "one", "two", "three")
    _, one, two, three = call.spoken
    one.agent, three.status = "other", Status.RUNNING
    two.impact, two.error_category = "refusal", "budget"
    last = replace(three, status=Status.COMPLETE, position=9)
    result = await play(Recording([*call.turns, last]), find_agent("echo", AGENTS))
    assert [turn.note for turn in result.turns] == [
        "",
        "agent 'other', which answered the turn, is not loaded",
        "a budget was used up, so the agent was not called",
        "it was still running when it was recorded",
        "",
    ]
    assert (result.same, list(result.missing)) == (False, ["other"])


def chatty(*answers: Any, validate: bool = False) -> VoiceAgent[Any, Any]:
    agent = Agent(scripted(*answers))
    if validate:

        @agent.output_validator
        def not_at_all(output: str) -> str:
            raise ModelRetry("no")

    return VoiceAgent("chatty", agent, greeting="Hello!")


async def test_an_agent_that_asks_more_often_is_a_difference() -> None:
    result = await replayed(chatty("Fine."), "How are you?", now=chatty(validate=True))
    assert found(result) == [
        (2, "requests to the model", 1, 2),
        (2, "ending", "complete", result.turns[1].differences[1].came),
    ]


async def test_a_hook_that_fails_today_is_told_with_its_error() -> None:
    def kind() -> VoiceAgent[Any, Any]:
        return VoiceAgent("plain", greeting="Hello!")

    voice, now = kind(), kind()

    @voice.on_message
    async def answer(turn: Any) -> str:
        return "Fine."

    @now.on_message
    async def fail(turn: Any) -> str:
        raise KeyError("basket")

    result = await replayed(voice, "How are you?", now=now)
    assert (2, "ending", "complete", "failed: KeyError: 'basket'") in found(result)


@pytest.mark.parametrize(
    ("before", "came", "same"), [("Fine,  thanks.", "fine, thanks.", True), ("Yes.", "No.", False)]
)
async def test_by_meaning_space_and_case_do_not_count(before: str, came: str, same: bool) -> None:
    voice, now = chatty(before), chatty()
    now.offline(_says(came))
    result = await replayed(voice, "Well?", now=now, model="offline", semantic=True)
    assert result.same is same
    assert (await replayed(chatty(before), "Well?", now=now, model="offline")).same is False


def _says(text: str) -> Any:
    async def script(scene: Any) -> AsyncIterator[str]:
        yield text

    return script


async def test_a_judge_compares_the_words_of_a_real_model(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str]] = []
    answers = ["yes", "maybe", "no"]

    async def judge(question: str, transcript: str) -> Verdict:
        asked.append((question, transcript))
        return Verdict.model_validate({"answer": answers[len(asked) - 1], "reason": "Because."})

    voice = chatty("I am fine.")
    call = await recorded(voice, "How are you?")
    options = Options(model="openai-chat:gpt-test", judge=judge)
    server = ModelServer(reply=lambda messages: "I am well.")
    async with serve(server.app) as url:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{url}/v1")
        monkeypatch.setenv("OPENAI_API_KEY", "test-key")
        yes, maybe, no = [await play(call, voice, options) for _ in answers]
    question, transcript = asked[0]
    assert "'I am fine.'" in question
    assert transcript == "agent:  Hello!\ncaller: How are you?\nagent:  I am well."
    assert (found(yes), found(maybe)) == ([], [])
    assert found(no) == [(2, "speech, the judge says no: Because.", "I am fine.", "I am well.")]


async def test_a_masked_tool_call_stays_one(tmp_path: Path) -> None:
    """The arguments of a tool call are stored as a JSON text. After masking, this text must still be JSON."""
    agent = find_agent("phone_intake", AGENTS)
    async with open_call(agent) as call:
        await call.say("It is 4155550199, write to ada@example.org")
        turns = await call.records()
    path = tmp_path / "call.json"
    write_export(turns, html=False, output=path, redacted=True)
    assert "4155550199" not in path.read_text()
    recording = read_export(path)
    assert recording.masked
    args = json.loads(recording.turns[0].messages)[1]["parts"][0]["args"]
    assert json.loads(args) == {"heard": "It is [redacted], write to [redacted]"}
    assert (await play(recording, agent)).same


def test_a_recording_is_compared_without_its_fillers_and_spaced_as_without_them() -> None:
    def turn(*speech: Speech) -> TurnRecord:
        return TurnRecord("c", "t", Kind.MESSAGE, "a", speech=list(speech))

    before, after = Speech("model", 0, "Let me check."), Speech("model", 1, " It is 42.")
    filler, glued = Speech("filler", 0, " One moment. "), Speech("model", 1, "It is 42.")
    assert said(turn(before, after)) == said(turn(before, filler, glued)) == "Let me check. It is 42."
    assert said(turn(filler, Speech("model", 0, "for"), filler, Speech("model", 0, "ty"))) == "forty"
