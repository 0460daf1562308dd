"""`adopt` writes an agent file, a test and a scenario for an existing agent. All of them load, run and type-check."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from layercode_app.adopt.adopt import adopt
from layercode_app.adopt.type_source import Imports
from layercode_app.exceptions import AgentImportError, AgentNotFoundError, ConfigurationError, DeveloperError

from .. import forked
from ..processes import ROOT, clean_environment, run
from ..scaffold.making import mypy

SUPPORT = '''
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Literal

from pydantic import BaseModel, Field
from pydantic_ai import Agent, NativeOutput, PromptedOutput, RunContext, ToolOutput

from layercode_app import Turn as VoiceTurn
from layercode_app import VoiceAgent


@dataclass
class Deps:
    user: str
    limit: int = 3


@dataclass
class Options:
    limit: int = 3


class Basket(BaseModel):
    items: int = 0


class Booking(BaseModel):
    day: date
    seats: int


class Answer(BaseModel):
    text: str
    sure: bool = True


class Coded(BaseModel):
    text: str
    code: str = Field(pattern="^[A-Z]{3}$")


class Turn(BaseModel):
    """It has the name of a type of the toolkit."""

    number: int


def shout(text: str) -> str:
    return text.upper()


def local() -> type[BaseModel]:
    class Hidden(BaseModel):
        note: str

    return Hidden


plain: Agent[None, str] = Agent(instructions="You help our customers.")
keyless = Agent("openai:gpt-5-mini")
desk = Agent(deps_type=Deps, name="Front Desk")
options = Agent(deps_type=Options)
booking = Agent(deps_type=Deps, output_type=Booking)
answers = Agent(output_type=Answer)
either = Agent(output_type=[str, Booking])
turned = Agent(output_type=Turn)
numbers: Agent[None, list[int]] = Agent(output_type=list[int])
choice: Agent[None, str] = Agent(output_type=Literal["yes", "no"])  # type: ignore[call-overload]
prompted = Agent(output_type=PromptedOutput(Answer))
native = Agent(output_type=NativeOutput([Turn, Booking]))  # type: ignore[list-item]
coded = Agent(output_type=[Coded, Booking])
coded_text = Agent(output_type=NativeOutput(Coded))
printing = Agent(output_type=ToolOutput(shout, name="shout"))
hidden = Agent(output_type=local())
shouting = Agent(output_type=shout)
voiced = Agent(deps_type=VoiceTurn[Basket])
agent = Agent()
ready = VoiceAgent("ready", greeting="Hello")


@desk.tool
async def whose(ctx: RunContext[Deps]) -> str:
    return ctx.deps.user
'''
NEED_NOTHING = ("plain", "keyless", "options", "answers", "prompted", "hidden", "shouting", "voiced")
TO_FILL_IN = {
    "desk": {"dependencies": 'return Deps(user=str(turn.metadata.get("user", "")))'},
    "booking": {"dependencies": 'return Deps(user="Robin", limit=1)', "spoken": 'return f"{output.seats} seats"'},
    "either": {"spoken": 'return f"{output.seats} seats"'},
    "turned": {"spoken": 'return f"Number {output.number}"'},
    "numbers": {"spoken": 'return ", ".join(map(str, output))'},
    "choice": {"spoken": "return output"},
    "native": {"spoken": "return str(output)"},
    "coded": {
        "spoken": "return str(output)",
        "script": 'yield Call("final_result_Coded", {"text": "a", "code": "ABC"})',
    },
    "coded_text": {"spoken": "return output.code", "script": """yield '{"text": "a", "code": "ABC"}'"""},
    "printing": {"script": 'yield Call("shout", {"text": "a"})'},
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project with a package `shop`, which has agents."""
    package = tmp_path / "shop"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "support.py").write_text(SUPPORT)
    (package / "empty.py").write_text("agents = []\n")
    (package / "one.py").write_text("from pydantic_ai import Agent\n\nhelper = Agent()\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("OPENAI_API_KEY", "")
    yield tmp_path
    for name in [name for name in sys.modules if name.partition(".")[0] == "shop"]:
        del sys.modules[name]


def fill_in(file: Path, bodies: dict[str, str]) -> None:
    """Replace each `raise NotImplementedError` in the file by code from `bodies`, which maps function names to code."""
    to_do = r"raise NotImplementedError\(.Fill in (\w+)\(\).*"
    file.write_text(re.sub(to_do, lambda found: bodies[found[1]], file.read_text()))


# --- what is written


@pytest.mark.slow
def test_what_is_written_loads_runs_and_type_checks(project: Path) -> None:
    for name in (*NEED_NOTHING, *TO_FILL_IN):
        told = adopted(project, f"shop.support:{name}", "--name", f"my_{name}")
        assert [todo.partition("(")[0] for todo in told["fill_in"]] == list(TO_FILL_IN.get(name, {}))
        fill_in(project / told["files"][0], TO_FILL_IN.get(name, {}))
    code, listed = run("agents", "--json", cwd=project)
    assert code == 0, listed
    names = {f"my_{name}" for name in (*NEED_NOTHING, *TO_FILL_IN)}
    assert json.loads(listed)["failed"] == []
    assert names <= {agent["name"] for agent in json.loads(listed)["agents"]}

    tested = python(project, "-m", "pytest", "-q", "tests", "-p", "no:cacheprovider")
    assert tested.returncode == 0, tested.stdout
    assert f"{2 * len(names)} passed" in tested.stdout

    code, played = run("eval", *(f"evals/{name}.yaml" for name in sorted(names)), "--json", cwd=project)
    assert code == 0, played
    assert played.count('"passed": true') >= len(names)


@pytest.mark.slow
def test_what_is_written_type_checks_as_it_is_and_filled_in(project: Path) -> None:
    for name in (*NEED_NOTHING, *TO_FILL_IN):
        adopted(project, f"shop.support:{name}", "--name", f"my_{name}")
    for _ in range(2):
        checked = python(project, *mypy()[1:], "--strict", "agents", "tests")
        assert checked.returncode == 0, checked.stdout
        for name, bodies in TO_FILL_IN.items():
            fill_in(project / "agents" / f"my_{name}.py", bodies)


@pytest.mark.slow
def test_a_test_of_what_is_not_filled_in_says_where(project: Path) -> None:
    adopted(project, "shop.support:desk")
    tested = python(project, "-m", "pytest", "-q", "tests", "-p", "no:cacheprovider")
    assert tested.returncode == 1
    assert "Fill in dependencies() in agents/front_desk.py: return Deps(user: str, limit: int = ...)" in tested.stdout


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("plain", 'agent = VoiceAgent("plain", plain)'),
        ("agent", 'agent = VoiceAgent("support", own_agent)'),
        ("desk", 'agent = VoiceAgent("front_desk", desk, deps=dependencies)'),
        ("options", "def dependencies(turn: Turn) -> Options:"),
        ("options", "    # Options(limit: int = ...)\n    return Options()"),
        ("booking", 'agent = VoiceAgent("booking", booking, deps=dependencies, speak=spoken)'),
        ("booking", 'yield Call("final_result", {"day": "2024-01-01", "seats": 0})'),
        ("answers", "    return output.text"),
        ("either", "def spoken(output: str | Booking) -> str:"),
        ("either", "    if isinstance(output, str):\n        return output\n    raise NotImplementedError("),
        ("turned", "from shop.support import Turn, turned"),
        ("voiced", 'agent = VoiceAgent("voiced", voiced, state=Basket)'),
        ("choice", 'def spoken(output: Literal["yes", "no"]) -> str:'),
        ("hidden", "def spoken(output: Any) -> str:"),
        (
            "shouting",
            'def spoken(output: str) -> str:\n    """Return the words to say for an output."""\n    return output',
        ),
        ("prompted", """    yield '{"text":"a"}'"""),
        ("native", """    yield '{"result":{"kind":"Turn","data":{"number":0}}}'"""),
        (
            "coded",
            'Fill in script() in agents/coded.py: yield Call("final_result_Coded", ...) with arguments that the ',
        ),
        (
            "coded_text",
            "Fill in script() in agents/coded_text.py: yield JSON text that the output type of the agent accepts",
        ),
        ("printing", 'Fill in script() in agents/printing.py: yield Call("shout", ...) with'),
        ("shouting", 'yield Call("final_result", {"text": "Hello"})'),
    ],
)
def test_the_types_of_the_agent_decide_what_is_written(name: str, written: str, project: Path) -> None:
    made = adopt(f"shop.support:{name}")
    assert written in made.files[f"agents/{made.name}.py"]


def test_a_name_that_is_taken_gets_another() -> None:
    imports = Imports({"agent"})
    assert [imports.use("toolkit", "Turn"), imports.use("shop", "Turn"), imports.use("shop", "agent")] == [
        "Turn", "OwnTurn", "own_agent",
    ]  # fmt: skip
    assert imports.use("shop", "Turn") == "OwnTurn"
    assert imports.lines(library=False) == [
        "from shop import Turn as OwnTurn, agent as own_agent", "from toolkit import Turn",
    ]  # fmt: skip


# --- the command


def test_it_says_what_to_fill_in_and_what_to_do_next(project: Path) -> None:
    code, printed = run("adopt", "shop.support:desk", cwd=project)
    assert code == 0, printed
    assert printed.splitlines() == [
        "Wrote voice agent front_desk, which uses shop.support:desk:",
        "  agents/front_desk.py",
        "  tests/test_front_desk.py",
        "  evals/front_desk.yaml",
        "Fill in, before it can answer:",
        "  dependencies() in agents/front_desk.py: return Deps(user: str, limit: int = ...)",
        "Then run:",
        "  python -m pytest tests/test_front_desk.py",
        "  layercode-create-app dev --agent front_desk",
    ]


def test_the_only_agent_of_a_module_needs_no_name(project: Path) -> None:
    told = adopted(project, "shop.one", "--name", "first-line")
    assert (told["address"], told["name"]) == ("shop.one:helper", "first-line")
    assert told["files"] == ["agents/first_line.py", "tests/test_first_line.py", "evals/first_line.yaml"]


def test_the_folder_of_agent_files_is_the_projects(project: Path) -> None:
    (project / "voices").mkdir()
    told = adopted(project, "shop.one", "--agents", "voices")
    assert told["files"][0] == "voices/helper.py"


def test_no_file_is_overwritten_but_with_force(project: Path) -> None:
    adopted(project, "shop.one")
    (project / "tests" / "test_helper.py").unlink()
    (project / "agents" / "helper.py").write_text("mine = 1\n")
    code, printed = run("adopt", "shop.one", cwd=project)
    assert code == 2
    assert "would overwrite agents/helper.py, evals/helper.yaml" in " ".join(printed.split())
    assert "--name" in printed
    assert "--force" in printed
    assert not (project / "tests" / "test_helper.py").exists()
    assert (project / "agents" / "helper.py").read_text() == "mine = 1\n"
    adopted(project, "shop.one", "--name", "other")
    adopted(project, "shop.one", "--force")
    assert "VoiceAgent" in (project / "agents" / "helper.py").read_text()


def test_a_file_that_cannot_be_written_leaves_everything_as_it_was(project: Path) -> None:
    adopted(project, "shop.one")
    (project / "agents" / "helper.py").write_text("mine = 1\n")
    (project / "evals" / "helper.yaml").unlink()
    (project / "evals" / "helper.yaml").mkdir()
    code, printed = run("adopt", "shop.one", "--force", cwd=project)
    assert code == 2, printed
    assert "evals/helper.yaml cannot be written: Is a directory. Nothing was left behind." in " ".join(printed.split())
    assert (project / "agents" / "helper.py").read_text() == "mine = 1\n"


@pytest.mark.slow
def test_the_package_is_found_in_the_folder_one_is_in(project: Path) -> None:
    """Python does not put the current folder on the path of an installed command. The option `-P` imitates this."""
    done = python(project, "-P", "-m", "layercode_app", "adopt", "shop.one")
    assert done.returncode == 0, done.stdout
    done = python(project, "-P", "-m", "layercode_app", "agents")
    assert done.returncode == 0, done.stdout
    assert "helper" in done.stdout
    assert "failed" not in done.stdout


# --- what cannot be adopted


@pytest.mark.parametrize(
    ("address", "kind", "said"),
    [
        ("shop.support:dessk", AgentNotFoundError, "shop.support has no 'dessk'. PydanticAI agents there: shop.support:plain, "),
        ("shop.support:dessk", AgentNotFoundError, "Did you mean 'desk'?"),
        ("shop.support:Deps", AgentNotFoundError, "shop.support:Deps is a type; expected a PydanticAI Agent."),
        ("shop.support", AgentNotFoundError, "shop.support does not have exactly one agent; expected package.module:agent"),
        ("shop.empty", AgentNotFoundError, "PydanticAI agents there: none."),
        ("shop.nothing:agent", AgentNotFoundError, "there is no module 'shop.nothing' here. Run this in the folder"),
        ("nothing:agent", AgentNotFoundError, "there is no module 'nothing' here."),
        ("shop.support:ready", ConfigurationError, "shop.support:ready is a VoiceAgent already."),
        ("shop/support.py:plain", ConfigurationError, "'shop/support.py:plain' is not the address of an agent; expected package."),
        ("", ConfigurationError, "'' is not the address of an agent"),
    ],
)  # fmt: skip
def test_what_is_no_agent_is_said_with_those_there_are(
    address: str, kind: type[DeveloperError], said: str, project: Path
) -> None:
    with pytest.raises(kind) as caught:
        adopt(address)
    assert said in str(caught.value)


@pytest.mark.parametrize("name", ["my agent", "mein-büro", "a/b", "../up"])
def test_a_name_that_cannot_be_one_is_refused(name: str, project: Path) -> None:
    with pytest.raises(DeveloperError, match="expected ASCII letters, digits"):
        adopt("shop.support:plain", name=name)


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        (
            "import nothing_there\n",
            'File "{file}", line 1, in <module>',
            "ModuleNotFoundError: No module named 'nothing_there'",
        ),
        (
            "def f():\n    return 1 / 0\n\n\nf()\n",
            'File "{file}", line 5, in <module>',
            "ZeroDivisionError: division by zero",
        ),
        ("def f(:\n", 'File "{file}", line 1', "SyntaxError: invalid syntax"),
    ],
)
def test_a_module_that_fails_shows_its_own_traceback(text: str, first: str, last: str, project: Path) -> None:
    file = project / "shop" / "failing.py"
    file.write_text(text)
    with pytest.raises(AgentImportError, match=r"the module 'shop\.failing' failed to import") as caught:
        adopt("shop.failing:agent")
    lines = [line.strip() for line in caught.value.traceback.splitlines() if not line.startswith("Traceback")]
    assert lines[0] == first.format(file=file)
    assert lines[-1] == last
    assert "importlib" not in caught.value.traceback
    assert "layercode_app" not in caught.value.traceback
    code, printed = run("adopt", "shop.failing:agent", cwd=project)
    assert code == 3
    assert printed.count(last) >= 1
    assert "layercode_app" not in printed


# --- helpers


def adopted(project: Path, *arguments: str) -> dict[str, Any]:
    """Run `adopt --json`, and return what it says about the files that it wrote."""
    code, printed = run("adopt", *arguments, "--json", cwd=project)
    assert code == 0, printed
    told: dict[str, Any] = json.loads(printed)
    assert all((project / path).is_file() for path in told["files"])
    return told


def python(project: Path, *arguments: str) -> Any:
    """Run Python in the project, as its developer does."""
    env = clean_environment(PYTHONPATH=str(ROOT), OPENAI_API_KEY="")
    return forked.run(arguments, cwd=project, env=env, cold=True, together=True, timeout=600)
