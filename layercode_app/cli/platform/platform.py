"""`platform`: use the platform's REST API from the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ..options import AsJson, StoreUrl, output_file
from ..usage import VisibleErrors

app = typer.Typer(
    cls=VisibleErrors, help="Manage agents, sessions, recordings and calls at the platform.", no_args_is_help=True
)
agents_app = typer.Typer(cls=VisibleErrors, help="Manage your agents at the platform.", no_args_is_help=True)
app.add_typer(agents_app, name="agents")

AgentId = Annotated[str | None, typer.Option("--agent-id", help="The agent's id. Default LAYERCODE_AGENT_ID.")]
SessionId = Annotated[str, typer.Argument(help="The session's id, from its first event or the dashboard.")]


@agents_app.command("list")
def list_agents(as_json: AsJson = False) -> None:
    """List the account's agents."""
    from .view import run, show_agents

    show_agents(run(lambda client, settings: client.agents()), as_json=as_json)


@agents_app.command("show")
def show(agent_id: Annotated[str | None, typer.Argument(help="The agent's id. Default LAYERCODE_AGENT_ID.")] = None,
               as_json: AsJson = False) -> None:  # fmt: skip
    """Show one agent."""
    from .view import agent_id_of, run, show_agent

    show_agent(run(lambda client, settings: client.agent(agent_id_of(agent_id, settings))), as_json=as_json)


@agents_app.command("create")
def create_agent(template: Annotated[str | None, typer.Option(help="Template id.")] = None,
                 as_json: AsJson = False) -> None:  # fmt: skip
    """Create an agent. Its webhook secret is shown only once. `connect --create` writes id and secret to .env."""
    from .view import run, show_agent

    show_agent(run(lambda client, settings: client.create_agent(template)), as_json=as_json, secret=True)


@agents_app.command("set-webhook")
def set_webhook(agent_id: Annotated[str, typer.Argument(help="The agent's id.")],
                url: Annotated[str, typer.Argument(help="The webhook's URL: https://…")],
                yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False) -> None:  # fmt: skip
    """Set the webhook URL of an agent."""
    from ...output.terminal import confirm, print_line
    from .view import run, warn_of_contradictions

    old = run(lambda client, settings: client.agent(agent_id)).webhook_url
    if not yes:
        confirm(f"Set the webhook of {agent_id} to {url}? It is now {old or 'not set'}.")
    changed = run(lambda client, settings: client.set_webhook(agent_id, url))
    print_line(f"{agent_id}: {old or 'no webhook'} -> {changed.webhook_url}")
    warn_of_contradictions(changed)


@app.command()
def session(session_id: SessionId, agent_id: AgentId = None, as_json: AsJson = False) -> None:
    """Show one session: its figures and transcript."""
    from .view import agent_id_of, run, show_session

    found: Any = run(lambda client, settings: client.session(agent_id_of(agent_id, settings), session_id))
    show_session(found, as_json=as_json)


@app.command()
def recording(session_id: SessionId, output: Annotated[Path, typer.Option("-o", "--output", help="The WAV file to write.", callback=output_file)],
              agent_id: AgentId = None) -> None:  # fmt: skip
    """Download a session's recording. An interrupted download continues where it stopped."""
    from ...output.progress import bytes_bar
    from ...output.terminal import print_line
    from .view import agent_id_of, run

    with bytes_bar(output.name) as progress:
        from ...platform.recording import download

        size = run(lambda client, settings: download(
            client, agent_id_of(agent_id, settings), session_id, output, progress=progress))  # fmt: skip
    print_line(f"{size} bytes -> {output}")


@app.command()
def call(from_number: Annotated[str, typer.Option("--from", help="One of your numbers, such as +14155550100.")],
         to_number: Annotated[str, typer.Option("--to", help="Number to call.")], agent_id: AgentId = None,
         agent: Annotated[str | None, typer.Option("--agent", help="Agent on your server that takes the call.")] = None,
         var: Annotated[list[str], typer.Option("--var", help="Metadata of the call, NAME=VALUE; repeatable.")] = [],  # noqa: B006
         store: StoreUrl = None,
         yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False) -> None:  # fmt: skip
    """Let the agent call a phone number. A call costs money, so the command asks first."""
    from ...output.terminal import confirm, print_line
    from .view import agent_id_of, prepare_call, run, variables_of

    variables = variables_of(var)
    if not yes:
        confirm(f"Call {to_number} from {from_number} now? Your account is charged.")
    conversation = run(lambda client, settings: client.call(
        agent_id_of(agent_id, settings), from_number=from_number, to_number=to_number))  # fmt: skip
    print_line(f"Calling. Conversation {conversation}")
    prepare_call(conversation, variables, agent=agent, store=store)
