"""Find the webhook to talk to: the given webhook, or the webhook of a server started for this chat."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ...output.terminal import print_line
from ...settings import ENV_FILE
from ..webhook import webhook_secret

if TYPE_CHECKING:
    from ...server.app import LayerCode


@dataclass
class ChatOptions:
    """The options of `chat`."""

    url: str | None
    agent: str
    say: list[str] = field(default_factory=list)
    conversation: str | None = None
    as_json: bool = False
    secret: str | None = None
    agents_dir: Path | None = None
    model: str | None = None
    verbose: bool = False


@asynccontextmanager
async def open_webhook(options: ChatOptions) -> AsyncIterator[tuple[str, str, LayerCode | None]]:
    """Yield the webhook's URL, its secret, and the server of this chat. The server is None if a URL was given."""
    if options.url is not None:
        yield options.url, webhook_secret(options.secret), None
        return
    from ...dev.first_start import ensure_secret, tell_of_secret, warn_of_git
    from ...server.embedded import serving
    from ...server.serve import ServeOptions, build

    fresh = ensure_secret()
    served = ServeOptions(
        agent=options.agent,
        agents_dir=None if options.agents_dir is None else str(options.agents_dir),
        model=options.model,
        verbose=options.verbose,
        developing=True,
        quiet=True,
    )
    settings = served.load()
    app = build(served, settings)
    if fresh:
        tell_of_secret()
        print_line((f"A webhook secret for development was written to {ENV_FILE}.", "dim"), err=True)
        warn_of_git(settings)
    async with serving(app) as url:
        name = next(iter(app.agents))
        yield f"{url}/api/agents/{name}", settings.secrets_for(name)[0], app
