"""If an agent file has a fault, the error names this file, and the agents of the other files are still found."""

from __future__ import annotations

from pathlib import Path

import pytest

from layercode_app.agent.discovery import Found, discover

HEAD = """
from pydantic import BaseModel
from pydantic_ai import Agent
from layercode_app import Stage, Turn, VoiceAgent


class Order(BaseModel):
    paid: bool = False


async def add_pizza() -> str:
    return "added"


"""
GOOD = HEAD + 'good = VoiceAgent("good", Agent(), greeting="Hello!")\n'


def found_with(folder: Path, code: str) -> Found:
    """Return what `discover` finds in a folder that has a correct agent file and a file with this code."""
    (folder / "good.py").write_text(GOOD)
    (folder / "pizza.py").write_text(HEAD + code)
    return discover(folder)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (
            'VoiceAgent("pizza", Agent(), stages=[Stage("order", "", add_pizza)])',
            "expected a list, such as [add_pizza]",
        ),
        ("cook = Agent(deps_type=Turn[Order])", "Add state=Order. Write `agent = VoiceAgent('pizza', cook, …)` in"),
        (
            "class Odd:\n    @property\n    def __class__(self):\n        raise RuntimeError('odd')\n\n\nodd = Odd()",
            "RuntimeError: odd",
        ),
    ],
)
def test_a_wrong_file_is_named_and_the_others_are_loaded(code: str, message: str, tmp_path: Path) -> None:
    found = found_with(tmp_path, code)
    assert found.own() == ["good"]
    ((path, error),) = found.failed.items()
    assert path.name == "pizza.py"
    assert str(path) in str(error)
    assert message in str(error)


def test_a_fault_that_cannot_be_determined_is_an_error_of_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(voice: object) -> str:
        if getattr(voice, "name", "") == "pizza":
            raise TypeError("a toolset that cannot be built")
        return ""

    monkeypatch.setattr("layercode_app.agent.discovery.fault_of_agent", fails)
    found = found_with(tmp_path, 'pizza = VoiceAgent("pizza", greeting="Ciao!")')
    assert found.own() == ["good"]
    assert [str(error) for error in found.failed.values()] == [
        f"Agent file {tmp_path}/pizza.py failed to import: TypeError: a toolset that cannot be built"
    ]


def test_two_agents_with_one_name_in_one_file_are_reported(tmp_path: Path) -> None:
    two = 'one = VoiceAgent("pizza", greeting="One")\ntwo = VoiceAgent("pizza", greeting="Two")\n'
    found = found_with(tmp_path, two)
    assert found.agents["pizza"].greeting == "One"
    assert found.warnings == [
        f"Two agents in {tmp_path}/pizza.py are named 'pizza': the first is used. Rename one of them."
    ]


def test_one_agent_with_two_names_in_its_module_is_fine(tmp_path: Path) -> None:
    assert found_with(tmp_path, 'one = two = VoiceAgent("pizza", greeting="One")\n').warnings == []


def test_an_agent_keeps_its_version_if_its_file_is_changed_and_not_loaded(tmp_path: Path) -> None:
    code = """
agent = VoiceAgent("pizza")


@agent.on_message
async def reply(turn: Turn) -> str:
    return "Ciao!"
"""
    agent = found_with(tmp_path, code).agents["pizza"]
    version = agent.fingerprint
    (tmp_path / "pizza.py").write_text(HEAD + code.replace("Ciao!", "Hello!"))
    agent.use_model(None)  # A failed reload chooses the models anew.
    assert agent.fingerprint == version
    assert discover(tmp_path).agents["pizza"].fingerprint != version
