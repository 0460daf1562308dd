"""`profile`: show where an agent's turns spend time and memory."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import AgentsDir, AsJson, Model, output_file


def profile(
    agent: Annotated[str, typer.Argument(help="The agent's name.")],
    turns: Annotated[int, typer.Option("--turns", "-n", min=1, help="Turns to measure.")] = 20,
    say: Annotated[list[str] | None, typer.Option(help="What the caller says. Repeatable: used in rotation.")] = None,
    html: Annotated[Path, typer.Option(help="Write the flame graph to this file.", callback=output_file)] = Path(
        "profile.html"
    ),
    model: Model = "offline",
    agents: AgentsDir = None,
    as_json: AsJson = False,
) -> None:
    """Profile turns: flame graph, top functions, top allocations, time per stage. Offline unless --model is given."""
    import asyncio

    from loguru import logger

    from ..agent.discovery import discover
    from ..output.files import write_file
    from ..output.terminal import print_json, print_line
    from ..settings import export_env_file, load_settings
    from ..testing.profile.profile import profile as measure
    from ..testing.profile.turns import SECRET

    export_env_file()
    settings = load_settings({"webhook_secret": SECRET, "agents_dir": agents})
    voice = discover(settings.agents_dir).get(agent)
    texts = say or ["Hello, what can you do for me?", "And what else?"]
    logger.disable("layercode_app")
    found = asyncio.run(measure(voice, turns=turns, settings=settings, texts=texts, model=model))
    if as_json:
        print_json(found.as_json() | {"flame_graph": str(html)})
        write_file(html, found.page)
        return
    for line in found.as_text():
        print_line(line)
    write_file(html, found.page)
    print_line()
    print_line(f"The flame graph is in {html}.")
