"""A mistake in a scenario file is an error if it would change what is checked.

The error names the file, the place and the fix.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from layercode_app.exceptions import ConfigurationError
from layercode_app.testing.evals.scenario import load
from layercode_app.testing.evals.simulated.caller_spec import CallerSpec
from layercode_app.testing.evals.simulated.script import scripted_mind

ONE = "agent: echo\nscenarios: [{{name: a, turns: [{{say: {say}, metadata: {metadata}}}]}}]\n"


def written(tmp_path: Path, text: str | bytes) -> Path:
    """A file in a folder of the test."""
    path = tmp_path / "calls.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def refused(path: Path) -> str:
    """The message of the error with which the file is refused."""
    with pytest.raises(ConfigurationError) as caught:
        load(path)
    assert str(caught.value).startswith(str(path))
    return str(caught.value)


def test_a_key_that_appears_twice_is_refused_with_its_line(tmp_path: Path) -> None:
    turns = """
agent: echo
scenarios:
  - name: a
    turns:
      - say: hello
        expect: {contains: [impossible words]}
        expect: {contains: [hello]}
"""
    message = refused(written(tmp_path, turns))
    assert "the key 'expect' appears twice" in message
    assert "line 8, column 9" in message

    scenarios = 'agent: echo\nscenarios: [{name: a, turns: [{say: hi}]}]\n"scenarios": [{name: b, turns: [{say: hi}]}]'
    message = refused(written(tmp_path, scenarios))
    assert "the key 'scenarios' appears twice" in message
    assert "line 3, column 1" in message


@pytest.mark.parametrize(
    ("say", "metadata", "message"),
    [
        ("2026-99-99", "{}", "'2026-99-99' is not a valid timestamp; put text in quotes"),
        ("!!bool x", "{}", "'x' is not a valid bool"),
        ("!!timestamp x", "{}", "'x' is not a valid timestamp"),
        ("!!int ''", "{}", "'' is not a valid int"),
        ("a", "{d: !!binary '/+8='}", "!!binary is not supported; expected text"),
        ("a", "&m {d: *m}", "an anchor contains itself"),
        ("a", "&m [[*m]]", "an anchor contains itself"),
    ],
)
def test_a_value_that_cannot_be_read_is_refused_with_its_line(
    tmp_path: Path, say: str, metadata: str, message: str
) -> None:
    found = refused(written(tmp_path, ONE.format(say=say, metadata=metadata)))
    assert message in found
    assert "line 2, column" in found


def test_a_file_in_another_encoding_or_with_endless_nesting_is_refused(tmp_path: Path) -> None:
    assert "is not UTF-8" in refused(written(tmp_path, b"agent: caf\xe9\n"))
    assert "nested too deeply" in refused(written(tmp_path, "agent: " + "[" * 3000 + "]" * 3000))


def test_anchors_and_merged_mappings_are_read(tmp_path: Path) -> None:
    text = """
agent: echo
scenarios:
  - name: a
    turns:
      - &base {say: hello, expect: &heard {contains: [hello]}}
      - {<<: *base, say: good day}
      - {say: bye, expect: *heard}
"""
    turns = load(written(tmp_path, text)).scenarios[0].turns
    assert [turn.say for turn in turns] == ["hello", "good day", "bye"]
    assert all(turn.expect.contains == ["hello"] for turn in turns)


@pytest.mark.parametrize("point", ["-3", "-0.5", ".nan", ".inf", "true", "''"])
def test_an_interruption_at_no_point_is_refused(tmp_path: Path, point: str) -> None:
    text = f"agent: echo\nscenarios: [{{name: a, turns: [{{say: hi, interrupt: {point}}}]}}]\n"
    message = refused(written(tmp_path, text))
    assert "scenarios.0.turns.0.interrupt: Value error" in message
    assert "expected a number of words (such as 2), a number of seconds (such as 0.5), or a text that" in message


def test_an_interruption_of_the_playback_needs_its_point(tmp_path: Path) -> None:
    text = "agent: echo\nscenarios: [{name: a, turns: [{say: hi, playing: true}]}]\n"
    assert "`playing` interrupts nothing without `interrupt`" in refused(written(tmp_path, text))
    timed = written(tmp_path, text.replace("playing", "interrupt: 0.5, playing"))
    assert "`playing` with `interrupt: 0.5`; expected a number of words (such as 2) or a text that" in refused(timed)
    for point in ("0", "2", "hi", "null, in_tool: true"):
        load(written(tmp_path, text.replace("playing", f"interrupt: {point}, playing")))


@pytest.mark.parametrize(
    ("text", "place", "name", "meant"),
    [
        ("agnet: echo", "the file", "agnet", "agent"),
        ("turn: [{say: hi}]", "scenarios.0", "turn", "turns"),
        ("turns: [{sai: hi}]", "scenarios.0.turns.0", "sai", "say"),
        ("turns: [{say: hi, expect: {contain: [hi]}}]", "scenarios.0.turns.0.expect", "contain", "contains"),
        ("turns: [{say: hi, expect: {tools: [{nmae: a}]}}]", "expect.tools.0.ExpectedCall", "nmae", "name"),
        ("caller: {gaol: order}", "scenarios.0.caller", "gaol", "goal"),
        ("caller: {goal: order, max_turn: 3}", "scenarios.0.caller", "max_turn", "max_turns"),
        ("caller: {goal: order, script: [{says: hi}]}", "scenarios.0.caller.script", "says", "say"),
        ("caller: {goal: order, behaviour: {behavior: 1, split: 1}}", "caller.behaviour", "split", "splits"),
        ("turns: [{say: hi}], end: {outcome: [booked]}", "scenarios.0.end", "outcome", "outcomes"),
        ("turns: [{say: hi}], end: {tools: [{name: a, tims: 2}]}", "end.tools.0.EndCall", "tims", "times"),
    ],
)
def test_a_misspelt_key_is_refused_with_the_key_that_was_meant(
    tmp_path: Path, text: str, place: str, name: str, meant: str
) -> None:
    file = f"agent: echo\nscenarios: [{{name: a, {text}}}]\n" if place != "the file" else f"{text}\nscenarios: []\n"
    message = refused(written(tmp_path, file))
    assert place in message
    assert f"unknown field {name!r}. Did you mean {meant!r}? `eval --schema` prints the allowed fields." in message


def test_an_unknown_key_that_is_no_misspelling_is_refused_without_a_suggestion(tmp_path: Path) -> None:
    message = refused(written(tmp_path, "agent: echo\nscenarios: [{name: a, turns: [{say: hi}], colour: red}]\n"))
    assert "scenarios.0.colour: Extra inputs are not permitted. `eval --schema`" in message


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("      - say: yes", "scenarios.0.turns.1.say: Input should be a valid string, not true; put text in quotes."),
        ("      - say: 12", "scenarios.0.turns.1.say: Input should be a valid string, not 12; put text in quotes."),
        ("      - say: 2026-01-31", 'say: Input should be a valid string, not "2026-01-31"; put text in quotes.'),
        ("      - say: {yes: no}", 'say: Input should be a valid string, not {"True":false}; put text in quotes.'),
        ("      - expects: {}", "scenarios.0.turns.1: Value error, unknown field 'expects'. Did you mean 'expect'?"),
        ("      - colour: red", "scenarios.0.turns.1.colour: Extra inputs are not permitted."),
        ("      - expect: {within_ms: soon}", 'unable to parse string as a number, not "soon".'),
        ("      - expect: {contains: [hi, no]}", "expect.contains.1: Input should be a valid string, not false; put "),
        ("      - {<<: {say: 1}}", "scenarios.0.turns.1.say: Input should be a valid string, not 1; put text"),
        ("    history_tokens: -1", "scenarios.0.history_tokens: Input should be greater than 0, not -1."),
    ],
)
def test_a_wrong_value_is_refused_with_its_line_and_what_yaml_read(tmp_path: Path, line: str, message: str) -> None:
    text = f"agent: echo\nscenarios:\n  - name: a\n    turns:\n      - say: hello\n{line}\n"
    found = refused(written(tmp_path, text))
    assert found.startswith(f"{tmp_path}/calls.yaml, line 6: ")
    assert message in found


def test_a_missing_field_is_reported_with_the_line_of_its_part(tmp_path: Path) -> None:
    text = "agent: echo\nscenarios:\n  - name: a\n    turns: [{say: hi}]\n  - turns: [{say: hi}]\n"
    assert "line 5: scenarios.1.name: Field required." in refused(written(tmp_path, text))
    assert "line 1: the file: Input should be" in refused(written(tmp_path, ""))


@pytest.mark.parametrize("address", ["callers:ann", "json:ann"])
def test_a_script_that_does_not_exist_is_no_agent(address: str) -> None:
    with pytest.raises(ConfigurationError, match="script") as caught:
        scripted_mind(CallerSpec(script=address))
    assert "Agent" not in str(caught.value)
