"""Ask for confirmation before `run`, `dev` or `connect` points an agent's webhook at a tunnel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ..settings import Settings


class TunnelOptions(Protocol):
    """The tunnel options of `run`, `dev` and `connect`."""

    tunnel: bool
    update_webhook: bool


def confirm_tunnel(options: TunnelOptions, settings: Settings, *, yes: bool) -> None:
    """Check the tunnel options, and ask before the webhook changes. Answering no aborts with exit code 1.

    Raises ConfigurationError if the options cannot work, such as --update-webhook without --tunnel. Raises
    PlatformAPIError if the platform does not return the agent's current webhook.
    """
    from ..exceptions import ConfigurationError
    from ..output.terminal import confirm
    from ..server.tunnelling import check_tunnel

    if options.update_webhook and not options.tunnel:
        raise ConfigurationError("--update-webhook needs --tunnel. Add --tunnel.")
    if not options.tunnel:
        return
    now = check_tunnel(settings, update_webhook=options.update_webhook)
    if now is not None and not yes:
        confirm(f"Send the calls of {settings.agent_id} here instead of {now}, until this command ends?")
