"""Adopt an existing agent: write its agent file, a test and a scenario, and tell what is left to do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..agent.declaration_checks import check_name
from ..exceptions import ConfigurationError
from .agent_file import AgentFile
from .find import find_existing

TEST = '''"""Test the voice agent {name}: real signed requests, and replies from its offline script."""

from __future__ import annotations

import pytest

from layercode_app.testing import AgentCall

pytestmark = pytest.mark.agent("{name}")


async def test_it_answers(call: AgentCall) -> None:
    turn = await call.say("Hello")
    assert turn.error is None, f"{{type(turn.error).__name__}}: {{turn.error}}"
    assert turn.spoken


async def test_it_goes_on_in_the_same_conversation(call: AgentCall) -> None:
    await call.say("Hello")
    turn = await call.say("And what else?")
    assert turn.error is None, f"{{type(turn.error).__name__}}: {{turn.error}}"
    assert len(await call.records()) == 2
'''
SCENARIO = """# What a caller says. Run it with: layercode-create-app eval {path}
# If a turn fails, the scenario fails. State what a reply must contain under `expect`, below its `say`:
#   expect: {{contains: [hello], absent: [sorry], tools: [find_order]}}
agent: {name}
scenarios:
  - name: {name}
    turns:
      - say: Hello
      - say: And what else?
"""


@dataclass(frozen=True)
class Adopted:
    """An adopted agent: the files to write, and what the user must still fill in.

    `files` maps each path, relative to the project's folder, to the file's text.
    """

    name: str
    address: str
    files: Mapping[str, str]
    fill_in: list[str]

    @property
    def next_steps(self) -> list[str]:
        """The commands to run next."""
        test = next(path for path in self.files if path.startswith("tests/"))
        return [f"python -m pytest {test}", f"layercode-create-app dev --agent {self.name}"]

    def to_json(self) -> dict[str, Any]:
        """Return a dictionary for JSON."""
        return {
            "name": self.name, "address": self.address, "files": list(self.files), "fill_in": self.fill_in,
            "next": self.next_steps,
        }  # fmt: skip


def adopt(address: str, *, name: str | None = None, agents: str = "agents") -> Adopted:
    """Return the files to write for the agent at `package.module:agent`; `agents` is the folder of agent files.

    Raises DeveloperError if there is no such agent, or the name cannot be used.
    """
    existing = find_existing(address)
    chosen = name or existing.name
    check_name(chosen)
    stem = chosen.replace("-", "_")
    scenario = f"evals/{stem}.yaml"
    file = AgentFile(existing, chosen, f"{agents}/{stem}.py")
    files = {
        file.path: file.text(),
        f"tests/test_{stem}.py": TEST.format(name=chosen),
        scenario: SCENARIO.format(name=chosen, path=scenario),
    }
    return Adopted(chosen, f"{existing.module}:{existing.attribute}", files, file.fill_in)


def write(adopted: Adopted, folder: Path, *, force: bool = False) -> None:
    """Write all files or none.

    Raises ConfigurationError if a file cannot be written, or if it exists and `force` is not set.
    """
    taken = [path for path in adopted.files if (folder / path).exists()]
    if taken and not force:
        raise ConfigurationError(
            f"Nothing was written, because this would overwrite {', '.join(taken)}. Choose another name with --name, "
            "or allow it with --force."
        )
    before = {path: (folder / path).read_bytes() for path in taken if (folder / path).is_file()}
    try:
        for path, text in adopted.files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text, encoding="utf-8")
    except OSError as error:
        for file in _written(adopted, folder):
            file.unlink()
        for path, content in before.items():
            (folder / path).write_bytes(content)
        raise ConfigurationError(
            f"{error.filename} cannot be written: {error.strerror}. Nothing was left behind."
        ) from error


def _written(adopted: Adopted, folder: Path) -> Iterator[Path]:
    return (folder / path for path in adopted.files if (folder / path).is_file())
