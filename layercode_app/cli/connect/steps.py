"""The steps of `connect`. A step that is already done is skipped.

`restore` restores `.env` and the webhook. It does not delete an agent that `connect` created.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from ...exceptions import ConfigurationError
from ...output.terminal import ask, print_block, print_line
from ...platform.client import PlatformClient
from ...platform.models import AgentInfo
from ...platform.tunnel import check_program, words_of
from ...settings import ENV_FILE, Settings, load_settings
from ...settings.env_file import set_values, undo
from ..platform.view import run

if TYPE_CHECKING:
    from ...journal.record import TurnRecord
    from ...server.app import LayerCode

KEY, AGENT_ID, SECRET = "LAYERCODE_API_KEY", "LAYERCODE_AGENT_ID", "LAYERCODE_WEBHOOK_SECRET"
DEV_PREFIX = "dev-"
"""The prefix of secrets that `dev` generates; the platform does not know them."""


class Steps:
    """The steps that connect an agent file to an agent at the platform.

    With `yes` the user is asked nothing: a missing agent is created, and a missing key or secret raises
    ConfigurationError.
    """

    def __init__(self, *, yes: bool) -> None:
        self._yes = yes

    def find_tunnel(self) -> None:
        """Check that the tunnel program is installed, before anything is changed."""
        check_program(words_of(load_settings().tunnel_command)[0])

    def find_key(self) -> None:
        """Use the API key of the settings, or ask for one and write it to `.env`."""
        if load_settings().api_key is not None:
            print_line("1. API key: set")
            return
        key = self._ask("API key (from the platform's dashboard)", f"{KEY} is not set")
        _write({KEY: key})
        print_line(f"1. API key: written to {ENV_FILE}")

    def find_agent(self, agent_id: str | None, *, create: bool, template: str | None) -> None:
        """Use the agent `agent_id` or the agent in the settings. If neither is set, let the user pick or create one.

        If neither is set, and the user gave `--yes` or the account has no agent, create an agent without asking. With
        `create` and without `agent_id`, always create an agent, even if the settings name one.
        """
        settings = load_settings()
        wanted = agent_id or (None if create else settings.agent_id)
        if wanted:
            chosen: AgentInfo | None = run(lambda client, _: client.agent(wanted))
        else:
            chosen = None if create else self._pick()
        if chosen is None:
            chosen = run(lambda client, _: client.create_agent(template))
            print_line(f"2. Agent: created {chosen.id}")
        else:
            print_line(f"2. Agent: {chosen.id}")
        self._keep(chosen, settings)

    def _pick(self) -> AgentInfo | None:
        agents = run(lambda client, _: client.agents())
        if not agents or self._yes:
            return None
        for number, agent in enumerate(agents, 1):
            print_line(f"   {number}. {agent.id} {agent.name or ''} ({agent.webhook_url or 'no webhook'})")
        print_line("   0. a new agent")
        number = int(ask("Which agent", kind=int, default=0))
        if not 0 <= number <= len(agents):
            raise ConfigurationError(f"No agent has number {number}; expected 0 to {len(agents)}.")
        return agents[number - 1] if number else None

    def _keep(self, agent: AgentInfo, settings: Settings) -> None:
        """Write the agent's id and webhook secret to `.env`, and ask the user for the secret if it is missing.

        The platform shows the secret only when the agent is created.
        """
        values: dict[str, str | None] = {AGENT_ID: agent.id} if settings.agent_id != agent.id else {}
        known = [secret.get_secret_value() for secret in settings.webhook_secret]
        of_platform = [secret for secret in known if not secret.startswith(DEV_PREFIX)]
        if agent.webhook_secret and agent.webhook_secret not in known:
            values[SECRET] = agent.webhook_secret
        elif not agent.webhook_secret and (not of_platform or settings.agent_id not in (None, agent.id)):
            values[SECRET] = self._ask(f"Webhook secret of {agent.id}", f"{SECRET} of {agent.id} is not set")
        if values:
            _write(values)
        print_line(f"3. {ENV_FILE}: {', '.join(values) + ' written' if values else 'already complete'}")

    def _ask(self, what: str, missing: str) -> str:
        if self._yes:
            raise ConfigurationError(f"{missing}. Add it to {ENV_FILE}, or run again without --yes to be asked for it.")
        return str(ask(what, hidden=True)).strip()


def _write(values: dict[str, str | None]) -> None:
    set_values(values, env_file=Path(ENV_FILE))
    sources = load_settings().sources
    for name in values:
        if sources[_FIELDS[name]] == "environment":
            raise ConfigurationError(
                f"{name} is also set in the environment, which overrides {ENV_FILE}. Unset it there and run this again."
            )


_FIELDS = {KEY: "api_key", AGENT_ID: "agent_id", SECRET: "webhook_secret"}


def serve_until_stopped(
    *, agent: str, port: int | None, agents_dir: str | None, model: str | None, verbose: bool, yes: bool
) -> None:
    """Serve through a tunnel until Ctrl-C, with the webhook set to the tunnel.

    When the first turn of the first call has ended, print what the caller and the agent said in it.
    """
    from ...server.serve import ServeOptions, serve
    from ..tunnel import confirm_tunnel

    options = ServeOptions(
        agent=agent, agents_dir=agents_dir, model=model, verbose=verbose, tunnel=True, update_webhook=True,
        needs_tunnel=True,
        settings={"host": "127.0.0.1", "port": port},
    )  # fmt: skip
    confirm_tunnel(options, options.load(), yes=yes)
    print_line("4. Opening the tunnel and setting the webhook. Then call your agent; Ctrl-C restores the webhook.")
    serve(options, prepare=tell_of_first_call)


def tell_of_first_call(app: LayerCode) -> None:
    """Print the first turn of the first call, as soon as this turn has ended."""

    def tell(record: TurnRecord) -> None:
        app.on_turn.remove(tell)
        caller = (record.event or {}).get("from_phone_number") if isinstance(record.event, dict) else None
        first_speech = record.timings.get("ttfs")
        called = f"conversation {record.conversation_id}, turn {record.turn_id}" + (
            f", from {caller}" if caller else ""
        )
        print_block("5. First call: ", called, one_line=True)
        print_block(f"   {record.kind}: ", record.user_text or "(the call begins)")
        print_block(f"   {record.agent}: ", record.spoken_text)
        if first_speech is not None:
            print_line(f"   first speech after {first_speech:.0f} ms")

    app.on_turn.append(tell)


def restore() -> None:
    """Restore `.env`, and also the agent's webhook if it still has the tunnel's URL."""
    from ...platform.claim import repair

    settings = load_settings()

    async def restore_webhook() -> bool:
        async with PlatformClient.from_settings(settings) as client:
            return await repair(client)

    if settings.api_key is not None and asyncio.run(restore_webhook()):
        print_line("Nothing is left to restore at the platform.")
    names = undo(env_file=Path(ENV_FILE))
    print_line(f"{ENV_FILE}: restored {', '.join(names)}." if names else f"{ENV_FILE}: nothing to undo.")
    print_line("If `connect` created an agent, it stays at the platform. Delete it in the dashboard if unused.")
