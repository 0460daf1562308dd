"""`dev`: talk to an agent on this machine, with no account and no key."""

from __future__ import annotations

from .options import (
    Agent,
    AgentsDir,
    DevPort,
    Fault,
    Model,
    SessionTimeout,
    Stt,
    Tunnel,
    UpdateWebhook,
    Verbose,
    VoiceName,
    Yes,
)


def dev(
    agent: Agent = "",
    port: DevPort = None,
    agents: AgentsDir = None,
    model: Model = None,
    verbose: Verbose = False,
    fault: Fault = "",
    session_timeout: SessionTimeout = None,
    voice: VoiceName = None,
    stt: Stt = None,
    tunnel: Tunnel = False,
    update_webhook: UpdateWebhook = False,
    yes: Yes = False,
) -> None:
    """Talk to an agent in your browser: no account, no key, 127.0.0.1 only. The agent reloads when a file changes."""
    from ..dev.serve import DevOptions, serve_dev
    from .tunnel import confirm_tunnel

    options = DevOptions(
        agent=agent, port=port, agents_dir=agents, model=model, verbose=verbose,
        fault=fault, session_timeout=session_timeout, voice=voice, stt=stt, tunnel=tunnel, update_webhook=update_webhook,
    )  # fmt: skip
    confirm_tunnel(options, options.settings(), yes=yes)
    serve_dev(options)
