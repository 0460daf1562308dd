"""`sessions`: list, show, review, group, export and delete recorded conversations."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..options import AsJson, StoreUrl, output_in_new_folder
from ..usage import VisibleErrors

app = typer.Typer(cls=VisibleErrors, help="List, show, review, group, export and delete recorded conversations.")

Id = Annotated[
    str | None, typer.Argument(help="The conversation's id, as `sessions list` shows it. Default: the latest one.")
]

OptionalId = Annotated[str | None, typer.Argument(help="The conversation's id, as `sessions list` shows it.")]


@app.callback(invoke_without_command=True)
def _default(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        list_()


@app.command("list")
def list_(
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="Number of conversations.")] = 20,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    """List the most recent conversations."""
    from .view import print_list, with_journal

    print_list(with_journal(store, lambda journal: journal.conversations(limit=limit)), as_json=as_json)


@app.command()
def show(conversation: Id = None, store: StoreUrl = None, as_json: AsJson = False) -> None:
    """Show a conversation as the caller heard it, with the figures of each turn."""
    from ...journal.read import summary_of
    from .view import print_conversation, print_summary, turns_of_call, with_journal

    turns = with_journal(store, lambda journal: turns_of_call(journal, conversation))
    print_conversation(turns, as_json=as_json)
    if not as_json:
        print_summary(with_journal(store, lambda journal: summary_of(journal, turns[0].conversation_id)))


@app.command()
def explain(conversation: Id = None, store: StoreUrl = None, as_json: AsJson = False) -> None:
    """Explain in a sentence why each turn was slow, silent or cut off, and show its trace id."""
    from .view import print_explanations, turns_of_call, with_journal

    turns = with_journal(store, lambda journal: turns_of_call(journal, conversation, bodies=True))
    print_explanations(turns, as_json=as_json)


@app.command()
def export(
    conversation: Id = None,
    html: Annotated[bool, typer.Option(help="Write a self-contained page instead of JSON.")] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="File to write; - for stdout. Default: a file in .layercode/exports.",
            callback=output_in_new_folder,
        ),
    ] = None,
    unredacted: Annotated[bool, typer.Option(help="Do not mask personal details and secrets.")] = False,
    store: StoreUrl = None,
) -> None:
    """Write a conversation to a file, with personal details masked."""
    from .view import turns_of_call, with_journal, write_export

    turns = with_journal(store, lambda journal: turns_of_call(journal, conversation, bodies=True))
    write_export(turns, html=html, output=output, redacted=not unredacted)


@app.command()
def review(conversation: OptionalId = None,
           good: Annotated[bool | None, typer.Option("--good/--bad", help="The verdict on this call.")] = None,
           note: Annotated[str, typer.Option(help="A note to save with the verdict.")] = "",
           scenario: Annotated[Path | None, typer.Option(help="Write this call as a scenario to this file.", callback=output_in_new_folder)] = None,
           goal: Annotated[str, typer.Option(help="With --scenario: what the caller wanted.")] = "",
           goal_model: Annotated[str | None, typer.Option(help="With --scenario: model that guesses the goal.")] = None,
           outcome: Annotated[list[str] | None, typer.Option(help="With --scenario: an outcome to reach. Repeatable.")] = None,
           since: Annotated[str, typer.Option(help="A duration such as 24h, or a date such as 2026-01-31.")] = "7d",
           limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="Maximum number of calls.")] = 20,
           reviewed: Annotated[bool, typer.Option(help="Include calls that have a verdict.")] = False,
           store: StoreUrl = None, as_json: AsJson = False) -> None:  # fmt: skip
    """Review calls that failed, were silent, slow or disliked, or that a judge rejected. Save verdicts or scenarios."""
    from ...output.terminal import answers
    from ...reports.report import beginning
    from .review import ScenarioOptions, decide, print_queue, walk

    if conversation is not None:
        if good is None and scenario is None:
            raise typer.BadParameter("give --good or --bad, or --scenario with a file.")
        if good is None and note:
            raise typer.BadParameter("needs --good or --bad", param_hint="--note")
        decide(
            store,
            conversation,
            good=good,
            note=note,
            scenario=ScenarioOptions(scenario, goal, goal_model, outcome or ()),
            as_json=as_json,
        )
        return
    if good is not None or scenario is not None:
        raise typer.BadParameter("a verdict and --scenario need the id of a conversation.")
    found = print_queue(store, since=beginning(since), limit=limit, reviewed=reviewed, as_json=as_json)
    if found and answers() and not as_json:
        walk(store, found)


@app.command()
def clusters(since: Annotated[str, typer.Option(help="A duration such as 24h, or a date such as 2026-01-31.")] = "7d",
             model: Annotated[str | None, typer.Option(help="Let this model group the calls. Default: group by words.")] = None,
             scenarios: Annotated[Path, typer.Option(help="Folder of scenario files.")] = Path("evals"),
             limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="Maximum number of groups.")] = 20,
             store: StoreUrl = None, as_json: AsJson = False) -> None:  # fmt: skip
    """Group calls by the callers' requests. Show each group's results and cost, and the groups without a scenario."""
    from ...reports.report import beginning
    from .clusters import print_clusters

    print_clusters(store, since=beginning(since), limit=limit, scenarios=scenarios, model=model, as_json=as_json)


@app.command()
def forget(conversation: OptionalId = None,
           caller: Annotated[str | None, typer.Option(help="Instead of a conversation, delete the notes about this caller. They are shown first.")] = None,
           yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
           store: StoreUrl = None, as_json: AsJson = False) -> None:  # fmt: skip
    """Delete a conversation from the journal and the write-ahead log, and delete the call's recordings and exports."""
    from ...journal.forget import forget as forget_conversation
    from ...output.terminal import confirm
    from .view import forget_caller, print_forgotten, with_journal

    if (conversation is None) == (caller is None):
        raise typer.BadParameter("give the id of a conversation, or --caller with the id of a caller.")
    if caller is not None:
        forget_caller(caller, store, yes=yes, as_json=as_json)
        return
    assert conversation is not None
    if not yes:
        confirm(f"Delete everything stored about {conversation}?", err=True)
    done = with_journal(store, lambda journal: forget_conversation(journal, conversation))
    print_forgotten(done, as_json=as_json)
