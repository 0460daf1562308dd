"""The documentation is true: its Python runs, its commands and options exist, its links lead somewhere."""

from __future__ import annotations

import asyncio
import re
import sys
import types
from pathlib import Path

import pytest
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command
from typer.testing import CliRunner

from layercode_app import Call
from layercode_app.cli.main import app
from layercode_app.testing import Called, open_call, scripted

from .markdown import ROOT, Block, blocks, blocks_of, commands, pages

PYTHON = [block for block in blocks("python", "py") if not block.skipped]
SHELL = [block for block in blocks("sh", "bash", "shell", "console") if not block.skipped]
NAMES = {"layercode-create-app", "layercode-app"}
RUNNERS = [["uvx"], ["uv", "run"], ["uvx", "--from", "layercode-app"]]


def _preceding(block: Block) -> list[Block]:
    """Return the blocks that this one continues, in order."""
    same = [other for other in PYTHON if other.page == block.page and other.line < block.line]
    first = next((at for at in range(len(same) - 1, -1, -1) if same[at].marker != "continues"), 0)
    return same[first:] if block.marker == "continues" else []


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The empty folder of a user's project, in which the test runs, with an invented API key and webhook secret."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "test-key")
    monkeypatch.setenv("LAYERCODE_WEBHOOK_SECRET", "test-secret")
    return tmp_path


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """Return a new module, in which a block can run. It is in `sys.modules`, where Pydantic looks up annotations."""
    fresh = types.ModuleType("documented_example")
    monkeypatch.setitem(sys.modules, fresh.__name__, fresh)
    return fresh


@pytest.mark.parametrize("block", PYTHON, ids=lambda block: block.place)
@pytest.mark.usefixtures("project")
def test_python_runs(block: Block, module: types.ModuleType) -> None:
    for part in [*_preceding(block), block]:
        # Blank lines in front, so that a traceback names the page's own line.
        code = compile("\n" * (part.line - 1) + part.code, part.page, "exec", dont_inherit=True)
        exec(code, vars(module))


@pytest.mark.usefixtures("project")
def test_the_agent_with_every_option_answers_its_first_call(module: types.ModuleType) -> None:
    """The agent also answers a caller without metadata, and it has the tool that is named in its options."""
    block = next(block for block in PYTHON if block.page == "docs/voice-agents.md" and "tool_apology=" in block.code)
    exec(block.code, vars(module))

    async def hold() -> None:
        said = scripted(Call("place_order", {"bread": 2}), "Two loaves are on their way.")
        async with open_call(module.agent, model=said) as call:
            assert (await call.greet()).spoken == "Welcome!"
            assert (await call.say("Two loaves, please")).spoken == "Shall I place the order?"
            turn = await call.say("Yes, please.")
            assert turn.tools == [Called("place_order", bread=2)]
            assert turn.spoken == "Two loaves are on their way."
            assert await call.state() == {"bread": 2}

    asyncio.run(hold())


def _ours(words: list[str]) -> list[str] | None:
    """Return the arguments of our command if these words are a command line that runs it; otherwise None."""
    for runner in [[], *sorted(RUNNERS, key=len, reverse=True)]:
        if words[: len(runner)] == runner and len(words) > len(runner) and words[len(runner)] in NAMES:
            return words[len(runner) + 1 :]
    return None


def check_command(arguments: list[str]) -> None:
    """Fail unless the command exists, has these options, and takes this number of arguments."""
    command: TyperCommand | TyperGroup = get_command(app)  # type: ignore[assignment]
    path = "layercode-create-app"
    while isinstance(command, TyperGroup):
        if not arguments or arguments[0].startswith("-"):
            break
        name, *arguments = arguments
        assert name in command.commands, f"{path} has no command {name!r}; it has {', '.join(command.commands)}"
        command, path = command.commands[name], f"{path} {name}"  # type: ignore[assignment]
    parser = command.make_parser(command.context_class(command, info_name=path))
    _, unused, _ = parser.parse_args([argument for argument in arguments if argument not in {"-h", "--help"}])
    assert unused == [], f"{path} takes no {unused}"


@pytest.mark.parametrize("block", SHELL, ids=lambda block: block.place)
def test_commands_exist(block: Block) -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for words in commands(block):
        if (arguments := _ours(words)) is not None:
            check_command(arguments)
        elif words[0] == "make":
            wanted = {word for word in words[1:] if "=" not in word and not word.startswith("-")}
            assert wanted <= targets, f"the Makefile has no {wanted - targets}"


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", text)
    local = [target for target in targets if "://" not in target and not target.startswith("mailto:")]
    assert [target for target in local if not (page.parent / target).exists()] == []


def test_what_needs_the_package_on_an_index_says_so() -> None:
    """Until the package is on an index, `uvx layercode-app` and `pip install layercode-app` find nothing.

    So a paragraph with such a command must say that the command works once the package is on an index. The test looks
    for the word "once".
    """
    finds = re.compile(r"uvx (--from )?layercode-app|(pip install|uv tool install|uv add) (-\S+ )*layercode-app")
    wrong = [
        f"{page.name}: {part}"
        for page in pages()
        for part in page.read_text(encoding="utf-8").split("\n\n")
        if finds.search(part) and "once " not in part.lower()
    ]
    assert wrong == []


def test_the_readme_says_where_its_links_lead_from_a_package() -> None:
    assert "`layercode-create-app docs` prints where" in (ROOT / "README.md").read_text(encoding="utf-8")
    printed = CliRunner().invoke(app, ["docs"]).stdout.strip()
    assert (Path(printed).parent / "docs/agents.md").is_file()


def test_blocks_that_do_not_run_are_few_and_say_why() -> None:
    every = blocks("python", "py", "sh", "bash", "shell", "console")
    skipped = [block for block in every if block.skipped]
    assert [
        block.place
        for block in every
        if not re.fullmatch(r"|continues|skip: \S.{14,}|file: \S+|background: http://\S+", block.marker)
    ] == []
    assert len(skipped) <= max(3, len(every) // 10), [block.place for block in skipped]


def test_blocks_in_a_list_are_found() -> None:
    (block,) = blocks_of(
        "page.md", "1. Do this:\n\n    <!-- skip: needs a telephone line -->\n    ```sh\n    make run\n    ```\n"
    )
    assert (block.place, block.code, block.skipped) == ("page.md:5", "make run\n", True)


PAGE = """
```python
x = 1
```
<!-- continues -->
```python
y = x
```
<!-- skip: needs a telephone line -->
```sh
$ KEY=1 make run | layercode-create-app run --agent \\
    starter && make test  # now
```
"""


def test_blocks_are_found_with_their_lines_and_markers() -> None:
    first, second, third = blocks_of("page.md", PAGE)
    assert (first.place, first.code, first.marker) == ("page.md:3", "x = 1\n", "")
    assert (second.place, second.marker) == ("page.md:7", "continues")
    assert third.skipped
    assert list(commands(third)) == [
        ["make", "run"],
        ["layercode-create-app", "run", "--agent", "starter"],
        ["make", "test"],
    ]


@pytest.mark.parametrize(
    "line",
    [
        "run --agent starter --verbose",
        "run --port 8000 --model offline",
        "--help",
        "run --help",
        "chat --say Hello --json",
    ],
)
def test_true_commands_pass(line: str) -> None:
    check_command(line.split())


@pytest.mark.parametrize("line", ["fly", "run --wings", "run starter", "--wings", "run --agent"])
def test_false_commands_fail(line: str) -> None:
    with pytest.raises(Exception, match=r"no command|No such option|takes no|requires an argument"):
        check_command(line.split())


@pytest.mark.parametrize("prefix", ["", "uvx ", "uv run ", "uvx --from layercode-app "])
def test_our_command_is_found_behind_uv(prefix: str) -> None:
    assert _ours(f"{prefix}layercode-create-app dev --port 8000".split()) == ["dev", "--port", "8000"]
    assert _ours(f"{prefix}other dev".split()) is None
