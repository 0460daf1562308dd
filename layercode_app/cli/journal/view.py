"""Print what the `journal` commands found, and write their files."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

import typer

from ...exceptions import ConfigurationError
from ...journal.check_journal import LATE_SECONDS, Findings, check_journal
from ...journal.copy_journal import Copied, copy_journal
from ...journal.open import SETTING, SQLITE, naming, open_journal
from ...journal.stores import create_store
from ...journal.stores.base import Store
from ...output.progress import steps
from ...output.terminal import print_json, print_line
from ...output.visible import shortened
from ...reports.conversations import moment
from ...reports.figures import counted
from ...reports.report import beginning
from ...settings import load_settings

T = TypeVar("T")
MOST_SHOWN = 20
"""Maximum number of ids to print; `--json` prints all of them."""


def print_info(url: str | None, *, as_json: bool) -> None:
    """Print the store and its size."""
    settings = load_settings({"store": url})

    async def work(store: Store) -> tuple[str, dict[str, object]]:
        size, jobs = await store.size(), await store.pending_jobs()
        return store.component, asdict(size) | {"oldest": moment(size.oldest or 0.0), "pending_jobs": len(jobs)}

    component, found = _read(settings.store, work, source=_source(url))
    found |= {"retention_days": settings.retention_days}
    if as_json:
        print_json({"store": component} | found)
        return
    print_line(component)
    for name, value in found.items():
        shown = f"{value:,}" if isinstance(value, int) else str(value or "unknown")
        print_line(f"  {name.replace('_', ' ')}: {shown}")


def copy_and_print(source_url: str, target_url: str, *, as_json: bool) -> None:
    """Copy a journal and print what was copied. Exits with 1 if the copy differs.

    Raises ConfigurationError if both URLs name the same journal, or if the target is in memory.
    """
    if target_url == "memory":
        raise ConfigurationError(
            "TO is memory: the copy would be lost when this command ends; expected the URL of a store such as "
            "sqlite:///PATH."
        )
    if _place(source_url) == _place(target_url):
        raise ConfigurationError(
            f"FROM and TO are the same journal, {target_url.partition('@')[2] or target_url}; expected two journals."
        )

    async def work(source: Store) -> Copied:
        with naming("TO"):
            target = create_store(target_url)
            await target.open()
        try:
            size = await source.size()
            with steps("Copying and comparing", 2 * size.turns, quiet=as_json) as step:
                return await copy_journal(source, target, step=step)
        finally:
            await target.close()

    copied = _read(source_url, work, source="FROM")
    if as_json:
        print_json(asdict(copied))
    else:
        _print_copied(copied)
    if copied.different:
        raise typer.Exit(1)


def _place(url: str) -> str:
    """Return the URL. For SQLite, return the file's absolute path instead, because several paths may mean one file."""
    return str(Path(url.removeprefix(SQLITE)).resolve()) if url.startswith(SQLITE) else url


def _print_copied(copied: Copied) -> None:
    there = f" ({copied.already:,} were already there)" if copied.already else ""
    print_line(f"Copied {counted(copied.turns, 'turn')}{there}, {counted(copied.jobs, 'job')}, and the state and "
               f"metadata of {counted(copied.conversations, 'conversation')}.")  # fmt: skip
    if copied.running:
        print_line(f"{counted(copied.running, 'turn')} still running in the source. Stop the servers and copy again.")
    if copied.newer:
        print_line(
            f"{counted(copied.newer, 'conversation')} had new turns in the target since an earlier copy. Their state and "
            "metadata in the target were kept."
        )
    if not copied.different:
        print_line("The copy equals the source.")
        return
    print_line((f"{counted(len(copied.different), 'record')} of the copy differ from the source:", "red"))
    for conversation_id, turn_id in copied.different[:MOST_SHOWN]:
        print_line(f"  {shortened(conversation_id, 80)} {shortened(turn_id, 80)}")


def export_turns(url: str | None, since: str, format_: str, output: Path, *, redacted: bool) -> None:
    """Write the turns of a period to a file that only its owner can read, or to stdout."""
    from ...reports.export_turns import rows_of, write_jsonl, write_parquet

    if format_ == "parquet" and output == Path("-"):
        raise ConfigurationError("--format parquet cannot be written to stdout; name a file with --output.")
    start = beginning(since)
    write = write_parquet if format_ == "parquet" else write_jsonl

    async def work(store: Store) -> int:
        return await write(rows_of(store, start, redacted=redacted), output)

    count = _read(load_settings({"store": url}).store, work, source=_source(url))
    if output != Path("-"):
        print_line(f"Wrote {counted(count, 'turn')} to {output}.")


def check_and_print(url: str | None, *, fix: bool, as_json: bool) -> None:
    """Check the journal and print the findings. Exits with 1 if a fault was found and not fixed."""
    settings = load_settings({"store": url})
    posts = bool(settings.handoff_url)
    found = _read(
        settings.store, lambda store: check_journal(store, fix=fix, posts_handoffs=posts), source=_source(url)
    )
    if as_json:
        stuck = [record.key for record in found.stuck]
        print_json(asdict(found) | {"stuck": stuck, "late": [job.id for job in found.late], "healthy": found.healthy})
    else:
        _print_findings(found)
    if not found.healthy:
        raise typer.Exit(1)


def _print_findings(found: Findings) -> None:
    print_line(f"{counted(found.turns, 'turn')} can be read.")
    if found.unreadable:
        print_line((f"The next turn cannot be read: {shortened(found.unreadable, 200)}", "red"))
    for record in found.stuck[:MOST_SHOWN]:
        print_line(
            f"  running without a worker: {shortened(record.conversation_id, 80)} {shortened(record.turn_id, 80)}"
        )
    if found.stuck:
        done = (
            f"Marked {found.fixed:,} of them as failed."
            if found.fixed
            else "`--fix` marks them as failed, as the next turn of the same call also does."
        )
        print_line(f"{counted(len(found.stuck), 'turn')} whose worker died. {done}")
    for job in found.late[:MOST_SHOWN]:
        print_line(f"  overdue: {job.name} {shortened(job.id, 80)}, {counted(job.attempts, 'attempt')}")
    if found.late:
        print_line(
            f"{counted(len(found.late), 'job')} overdue for over {LATE_SECONDS / 60:g} minutes. Is a server running?"
        )


def _source(url: str | None) -> str:
    return SETTING if url is None else "--store"


def _read(url: str, read: Callable[[Store], Awaitable[T]], *, source: str) -> T:
    """Read from the store at a URL. `source` tells where the URL comes from, and is mentioned in errors about it."""

    async def work() -> T:
        with naming(source):
            async with open_journal(url) as store:
                return await read(store)

    return asyncio.run(work())
