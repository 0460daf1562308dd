"""`adopt`: write the files that turn an existing PydanticAI agent into a voice agent."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .options import AgentsDir, AsJson

if TYPE_CHECKING:
    from ..adopt.adopt import Adopted


def adopt(
    address: Annotated[str, typer.Argument(help="The agent, as package.module:agent.", metavar="PACKAGE.MODULE:AGENT")],
    name: Annotated[
        str | None, typer.Option("--name", "-n", help="Name of the voice agent. Default: the agent's own name.")
    ] = None,
    agents: AgentsDir = None,
    force: Annotated[bool, typer.Option("--force", help="Replace existing files.")] = False,
    as_json: AsJson = False,
) -> None:
    """Turn an existing PydanticAI agent into a voice agent: write its agent file, a test and a scenario."""
    from ..adopt.adopt import adopt as plan
    from ..adopt.adopt import write
    from ..output.terminal import print_json
    from ..settings import export_env_file, load_settings

    export_env_file()
    folder = load_settings({"agents_dir": agents}).agents_dir or Path("agents")
    adopted = plan(address, name=name, agents=folder.as_posix())
    write(adopted, Path.cwd(), force=force)
    if as_json:
        print_json(adopted.to_json())
    else:
        _show(adopted)


def _show(adopted: Adopted) -> None:
    from ..output.terminal import print_line

    print_line(f"Wrote voice agent {adopted.name}, which uses {adopted.address}:")
    for path in adopted.files:
        print_line(f"  {path}")
    if adopted.fill_in:
        print_line(("Fill in, before it can answer:", "bold yellow"))
        for what in adopted.fill_in:
            print_line(f"  {what}")
    print_line(("Then run:" if adopted.fill_in else "Run:", "bold"))
    for command in adopted.next_steps:
        print_line(f"  {command}")
