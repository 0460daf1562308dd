"""The command line: the commands in their groups, and how errors are printed.

Exit codes: 0 success, 1 failure, 2 usage or configuration error, 3 agent not found or not importable. A command imports
its modules only when it runs, so that `--help` is fast.
"""

from __future__ import annotations

import logging
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from ..exceptions import AgentImportError, AgentNotFoundError, DeveloperError, LayerCodeError, NotRecordedError
from ..output.terminal import columns, on_terminal, print_block, print_line, replace_closed_streams, replace_unprintable
from ..server.collector import collect_rarely
from . import adopt, agents, check, dev, docs, emulator, logs, profile, report, run, send
from .bench import bench
from .chat import chat
from .connect import connect
from .doctor import doctor
from .eval import evaluate
from .fork import fork
from .journal import journal
from .mcp import mcp
from .new import new
from .platform import platform
from .replay import replay
from .sessions import sessions
from .update import update
from .usage import VisibleErrors

app = typer.Typer(
    cls=VisibleErrors,
    name="layercode-create-app",
    help="A Python toolkit for voice agents behind LayerCode.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

LIBRARIES = {
    # Without this, Pydantic imports Logfire's plugin with the first model class. That costs every command 0.15 s.
    "PYDANTIC_DISABLE_PLUGINS": "logfire-plugin",
    # Commands print what is on and off. The libraries' banners would appear between those lines.
    "PYDANTIC_AI_NO_BANNER": "1",
    "LOGFIRE_CONSOLE_SHOW_PROJECT_LINK": "false",
    # Loguru's default handler would print the values of variables in tracebacks. They can hold callers' words.
    "LOGURU_DIAGNOSE": "NO",
    "LOGURU_BACKTRACE": "NO",
}
"""Environment variables that libraries read at import, in this process and its workers. Values already set are kept."""

BUILD, SERVE, TEST, OBSERVE, PLATFORM = "Build", "Serve", "Test", "Observe", "Platform"

app.command(rich_help_panel=BUILD)(new.new)
app.command(rich_help_panel=BUILD)(update.update)
app.command(rich_help_panel=BUILD)(adopt.adopt)
app.command(rich_help_panel=BUILD)(dev.dev)
app.command(rich_help_panel=BUILD)(chat.chat)
app.command(rich_help_panel=BUILD)(agents.agents)
app.command(rich_help_panel=BUILD)(docs.docs)
app.command("list-agents", hidden=True)(agents.agents)
app.command(rich_help_panel=SERVE)(run.run)
app.command(rich_help_panel=SERVE)(connect.connect)
app.command(rich_help_panel=SERVE)(doctor.doctor)
app.command(rich_help_panel=TEST)(send.send)
app.command(rich_help_panel=TEST)(check.check)
app.command(rich_help_panel=TEST)(bench.bench)
app.command("eval", rich_help_panel=TEST)(evaluate.evaluate)
app.command(rich_help_panel=TEST)(replay.replay)
app.command(rich_help_panel=TEST)(fork.fork)
app.add_typer(sessions.app, name="sessions", rich_help_panel=OBSERVE)
app.add_typer(journal.app, name="journal", rich_help_panel=OBSERVE)
app.command(rich_help_panel=OBSERVE)(logs.logs)
app.command(rich_help_panel=OBSERVE)(report.report)
app.command(rich_help_panel=OBSERVE)(profile.profile)
app.command(rich_help_panel=OBSERVE)(mcp.mcp)
app.command(rich_help_panel=PLATFORM)(emulator.emulator)
app.add_typer(platform.app, name="platform", rich_help_panel=PLATFORM)


def _version(asked: bool) -> None:
    if asked:
        from .._version import __version__

        print_line(f"layercode-app {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """A Python toolkit for voice agents behind LayerCode."""
    replace_unprintable()


def main() -> None:
    """Run the command line. Print an error of this package as one message.

    The traceback is printed too with --verbose, and for an agent file that failed to import.
    """
    replace_closed_streams()
    collect_rarely()
    for name, value in LIBRARIES.items():
        os.environ.setdefault(name, value)
    if not on_terminal():
        # Typer reads this for the width of the help. Without a terminal it would use 80 columns.
        os.environ.setdefault("TERMINAL_WIDTH", str(columns()))
    _find_own_packages()
    # dotenv would also warn of a broken line of `.env`. Our own message reports it once, with file and line number.
    logging.getLogger("dotenv.main").setLevel(logging.ERROR)
    try:
        app()
    except LayerCodeError as error:
        if "--verbose" in sys.argv:
            import traceback

            print_block("", traceback.format_exc(), err=True)
        elif isinstance(error, AgentImportError) and error.traceback != str(error):
            print_block("", error.traceback.rstrip(), err=True)
        print_block("Error: ", str(error), style="red", err=True)
        raise SystemExit(exit_code(error)) from None
    except UnicodeEncodeError:
        from ..wellformed import well_formed

        if "--verbose" in sys.argv or not (other := [text for text in sys.argv[1:] if text != well_formed(text)]):
            raise
        print_block("Error: ", f"{other[0]!r} is not UTF-8; expected text in UTF-8.", style="red", err=True)
        raise SystemExit(2) from None


def _find_own_packages() -> None:
    """Let agent files import packages of the project's folder, as with `python -m`.

    The folder comes last on `sys.path`, so that it hides no other package.
    """
    with suppress(OSError):
        if (here := str(Path.cwd())) not in sys.path:
            sys.path.append(here)


def exit_code(error: LayerCodeError) -> int:
    """Return the exit code of an error."""
    if isinstance(error, AgentNotFoundError | AgentImportError):
        return 3
    return 2 if isinstance(error, DeveloperError) and not isinstance(error, NotRecordedError) else 1
