"""What `run` and `dev` ask before a tunnel takes an agent's webhook."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ..settings import Settings


class Asked(Protocol):
    """What `run` and `dev` were asked for."""

    tunnel: bool
    update_webhook: bool


def confirm_tunnel(options: Asked, settings: Settings, *, yes: bool) -> None:
    """Refuse what cannot work, and ask before calls go elsewhere. Aborts with exit code 1 on a no."""
    from ..exceptions import ConfigurationError
    from ..output.terminal import confirm
    from ..server.tunnelling import check_tunnel

    if options.update_webhook and not options.tunnel:
        raise ConfigurationError("--update-webhook needs --tunnel.")
    if not options.tunnel:
        return
    now = check_tunnel(settings, update_webhook=options.update_webhook)
    if now is not None and not yes:
        confirm(f"Send the calls of {settings.agent_id} here instead of {now}, until this ends?")
