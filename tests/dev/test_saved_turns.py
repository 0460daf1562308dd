"""The page saves a turn as a scenario or a test that passes at once.

It also suggests sentences to say to an agent. They come from the project's scenarios and tests.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from layercode_app.dev.suggestions import suggestions
from layercode_app.emulator.speech import Silence

from .. import forked
from ..processes import clean_environment, run
from .serving import AGENTS, dev_server
from .test_dev_app import client, talk

pytestmark = pytest.mark.anyio


@pytest.mark.slow
async def test_a_turn_becomes_a_scenario_and_a_test_that_pass(tmp_path: Path) -> None:
    shutil.copytree(AGENTS, tmp_path / "agents")
    async with dev_server(tmp_path, voice=Silence(pace=100), agents=tmp_path / "agents") as app, client(app) as http:
        said = ("My name is Ada Lovelace", "one cake please", "hello")
        call = (await talk(app, *said)).conversation_id
        turns = [turn async for turn in app.layercode.store.turns(conversation_id=call)]

        async def save(turn_id: str, form: str) -> Any:
            asked = {"conversation_id": call, "turn_id": turn_id, "form": form}
            answer = await http.post("/dev/api/saved-turns", json=asked)
            return answer.status_code, answer.json()

        scenario = "evals/shop_one_cake_please.yaml"
        assert await save(turns[2].turn_id, "scenario") == (201, {"path": scenario})
        test = "tests/test_shop_one_cake_please.py"
        assert await save(turns[2].turn_id, "test") == (201, {"path": test})
        # Nothing is overwritten.
        _, again = await save(turns[2].turn_id, "test")
        assert again["path"] == "tests/test_shop_one_cake_please_2.py"
        status, refused = await save("nobody", "test")
        assert (status, "'nobody' is not in this call" in refused["error"]) == (400, True)
        assert suggestions(tmp_path, ["shop"])["shop"][1] == "one cake please"

    text = (tmp_path / test).read_text()
    assert 'turn.tools == [Called("sell", cakes=1)]' in text
    assert "hello" not in text, "only the call up to the turn"
    assert "Ada" not in text + (tmp_path / scenario).read_text()
    code, output = run("eval", scenario, cwd=tmp_path)
    assert code == 0, output
    command = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "layercode_app.testing.plugin", test]
    done = forked.run(command, cwd=tmp_path, env=clean_environment(), cold=True, together=True)
    assert "1 passed" in done.stdout, done.stdout


def test_suggestions_come_from_the_project_first(tmp_path: Path) -> None:
    (tmp_path / "evals").mkdir()
    (tmp_path / "tests").mkdir()
    (tmp_path / "evals" / "broken.yaml").write_text("agent: [")
    (tmp_path / "evals" / "latin.yaml").write_bytes(b"agent: caf\xe9")
    (tmp_path / "tests" / "test_deep.py").write_text("a = b" + ".b" * 100_000)
    (tmp_path / "evals" / "bakery.yaml").write_text(
        "agent: bakery\nscenarios: [{name: s, turns: [{}, {say: A wedding cake}]}]"
    )
    (tmp_path / "tests" / "test_shop.py").write_text(
        'import pytest\npytestmark = pytest.mark.agent("shop")\n'
        'CONVERSATION: list = [("Hello there", "", []), ("Bye", "", [])]\n'
        'async def test_it(call):\n    await call.say("One cake")\n    await call.say("Two cakes")\n'
    )
    found = suggestions(tmp_path, ["bakery", "shop", "unknown"])
    assert found["bakery"] == ["A wedding cake", "What is on the menu?", "Two croissants, please"]
    assert found["shop"] == ["Hello there", "Bye", "One cake"]
    assert found["unknown"] == []
