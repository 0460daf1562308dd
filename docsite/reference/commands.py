"""Write the page of commands from their definitions in `layercode_app.cli`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from layercode_app.cli.main import app

from ..markdown import block, code, escaped, table

NAME = "layercode-create-app"
INTRODUCTION = f"""# Commands

`{NAME} COMMAND --help` shows the same in the terminal. `layercode-app` is the same program under a shorter name.

Every command ends with one of these exit codes:

| code | meaning |
| --- | --- |
| 0 | success |
| 1 | failure: a check, a scenario, a job or a request failed, or nothing was found |
| 2 | usage or configuration: a wrong option, or a setting that is missing or malformed |
| 3 | no agent has that name, or its file failed to import |
"""


def page() -> str:
    """Return the page: a section for each command."""
    root: Any = get_command(app)
    return "\n".join([INTRODUCTION, *(_section(words, command) for words, command in each(root))])


def each(group: TyperGroup, words: tuple[str, ...] = (NAME,)) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every command that is not hidden, with the words that call it."""
    for name, command in group.commands.items():
        if not command.hidden:
            yield (*words, name), command
            if isinstance(command, TyperGroup):
                yield from each(command, (*words, name))


def _section(words: tuple[str, ...], command: TyperCommand | TyperGroup) -> str:
    parts = [f"## {' '.join(words[1:])}\n", escaped(_paragraphs(command.help or "")) + "\n"]
    parts.append(block(_usage(words, command), "text"))
    arguments = [(code(_argument(one)), escaped(one.help or "")) for one in shown(command) if not _is_option(one)]
    if arguments:
        parts.append(table(("argument", "meaning"), arguments))
    options = [(names(one), escaped(one.help or ""), _default(one)) for one in shown(command) if _is_option(one)]
    if options:
        parts.append(table(("option", "meaning", "default"), options))
    return "\n".join(parts)


def _paragraphs(text: str) -> str:
    return "\n\n".join(" ".join(part.split()) for part in text.replace("\b", "").split("\n\n"))


def shown(command: TyperCommand | TyperGroup) -> list[Any]:
    """Return the command's arguments and options that are not hidden."""
    return [one for one in command.params if not getattr(one, "hidden", False)]


def _is_option(parameter: Any) -> bool:
    return str(parameter.opts[0]).startswith("-")


def names(option: Any) -> str:
    """Return every spelling of an option."""
    return ", ".join(code(name) for name in [*option.opts, *option.secondary_opts])


def _argument(parameter: Any) -> str:
    return str(parameter.metavar or parameter.name.upper())


def _usage(words: tuple[str, ...], command: TyperCommand | TyperGroup) -> str:
    more = [_argument(one) if one.required else f"[{_argument(one)}]" for one in shown(command) if not _is_option(one)]
    tail = ["COMMAND"] if isinstance(command, TyperGroup) else more
    return " ".join([*words, "[OPTIONS]", *tail])


def _default(option: Any) -> str:
    value = option.default
    if value is None or value is False or value in ("", (), []) or not isinstance(value, str | int | float | bool):
        return ""
    return code("on" if value is True else value)
