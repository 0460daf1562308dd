"""Send alerts and reports through channels: e-mail, Slack, a webhook or any other service that apprise supports.

`layercode.toml` maps a channel's name to its apprise URL. The URL contains secrets, so no message shows it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from ..exceptions import ConfigurationError, LayerCodeError
from ..output.messages import defused
from ..settings import Settings, environment

if TYPE_CHECKING:
    from ..reports.report import Report

SETTING = "LAYERCODE_CHANNELS"
Format = Literal["text", "html"]
Kind = Literal["info", "success", "warning", "failure"]
"""The kind of a message. Channels that support it show a colour, an icon or a priority."""


class ChannelError(LayerCodeError):
    """A channel did not accept a message."""


@dataclass(frozen=True)
class Channels:
    """The named channels; `urls` holds the apprise URL of each."""

    urls: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, settings: Settings) -> Channels:
        """Return the channels of the settings. `${NAME}` in a URL is replaced by the environment variable.

        Raises ConfigurationError for an invalid channel.
        """
        urls = {name: _fill(name, url.get_secret_value()) for name, url in settings.channels.items()}
        for name, url in urls.items():
            if _service(url) is None:
                raise ConfigurationError(
                    f"The setting {SETTING} is wrong: channel {name!r} is not a URL that apprise accepts. "
                    "Expected an apprise URL, such as slack://…, mailto://… or jsons://HOST/PATH."
                )
        return cls(urls)

    def check(self, name: str, setting: str) -> str:
        """Return the name if the channel exists. Otherwise raise ConfigurationError with `setting` in its message."""
        if name in self.urls:
            return name
        known = ", ".join(sorted(self.urls)) or "none"
        raise ConfigurationError(
            f"{setting} names the channel {name!r}, which does not exist. Existing channels: {known}. Add {name!r} to "
            f"[channels] in layercode.toml, or to {SETTING}."
        )

    async def send(self, name: str, title: str, body: str, *, form: Format = "text", kind: Kind = "info") -> None:
        """Send a message to the named channel. Raises ChannelError if the channel does not accept it."""
        # A report contains names of conversations and tools, which callers and models choose, so disable mentions and links.
        safe = defused(body) if form == "text" else body
        await _send(name, self.urls[name], defused(title), safe, form, kind)


async def send_report(settings: Settings, channel: str, report: Report) -> None:
    """Send a report as text to a channel, given by name or URL. Raises ConfigurationError or ChannelError."""
    from ..reports.text import as_text, title

    channels = Channels.of(settings)
    if channel not in channels.urls and "://" in channel:
        if _service(channel) is None:
            raise ConfigurationError(
                "--send: apprise does not accept this URL; expected an apprise URL such as mailto://… or slack://…"
            )
        channels = Channels({channel: channel})
    name = channels.check(channel, "--send")
    await channels.send(name, f"Voice agent report. {title(report)}", as_text(report))


def _fill(name: str, url: str) -> str:
    def value(match: re.Match[str]) -> str:
        found = environment().get(match[1])
        if not found:
            raise ConfigurationError(
                f"The setting {SETTING} is wrong: channel {name!r} needs ${{{match[1]}}}, which is not set. Set it in the environment."
            )
        return found

    return re.sub(r"\$\{(\w+)\}", value, url)


@cache
def _apprise() -> Any:
    import logging
    import warnings

    # apprise logs the URLs, which contain secrets.
    logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)
    with warnings.catch_warnings():
        # The first use loads apprise's plugins, which import deprecated parts of the standard library.
        warnings.simplefilter("ignore", DeprecationWarning)
        import apprise

        apprise.Apprise.instantiate("json://localhost")
    return apprise


def _service(url: str) -> Any:
    instantiate = _apprise().Apprise.instantiate
    # For a plain web URL, send the message as JSON by POST.
    return instantiate(url) or (
        instantiate(re.sub("^http", "json", url)) if url.startswith(("http://", "https://")) else None
    )


async def _send(name: str, url: str, title: str, body: str, form: Format, kind: Kind) -> None:
    def notify() -> bool:
        apprise = _apprise()
        channel = apprise.Apprise()
        channel.add(_service(url))
        shown = {"notify_type": apprise.NotifyType(kind), "body_format": apprise.NotifyFormat(form)}
        return bool(channel.notify(title=title, body=body, **shown))

    # Send in a thread, so that a channel that hangs does not block calls.
    if not await asyncio.to_thread(notify):
        raise ChannelError(f"The channel {name!r} did not accept the message.")
