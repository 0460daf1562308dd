"""Find the webhook that a command calls: its URL from the command line, and the secret to sign with."""

from __future__ import annotations

from collections.abc import Sequence

import typer


def url_of(argument: str | None, option: str | None, *, agent: str = "") -> str | None:
    """Return the complete URL of the given argument or `--url` option. Return None if neither is given.

    `agent` selects the path of an agent. Raises ConfigurationError for a value that is not an address, and
    BadParameter if both are given.
    """
    if argument is not None and option is not None:
        raise typer.BadParameter(f"the address is given twice: {argument!r} and --url {option!r}.", param_hint="URL")
    from ..emulator.address import webhook_url

    given = argument if argument is not None else option
    return None if given is None else webhook_url(given, agent=agent)


def required_url(argument: str | None, option: str | None) -> str:
    """Return the result of `url_of`, with the same errors. Also raises BadParameter if neither value is given."""
    url = url_of(argument, option)
    if url is None:
        raise missing("URL", "the address of the webhook is missing")
    return url


def targets_of(arguments: Sequence[str] | None, urls: Sequence[str] | None) -> list[str]:
    """Return agent names and addresses: the arguments, then each `--url`. Raises BadParameter if there are none."""
    # Only a target with a slash counts as an address. So append a slash to a `--url` value that has none.
    targets = [*(arguments or ()), *(one if "/" in one else f"{one}/" for one in urls or ())]
    if not targets:
        raise missing("URL|AGENT...", "an address or the name of an agent is missing")
    return targets


def missing(name: str, what: str) -> typer.BadParameter:
    """Return the error for the missing argument `name`; `what` says what is missing."""
    return typer.BadParameter(f"{what}; expected one such as localhost:8000 or https://host/path.", param_hint=name)


def webhook_secret(given: str | None) -> str:
    """Return the secret to sign with: the given secret, else the first secret of the settings.

    Raises ConfigurationError if there is none.
    """
    from ..exceptions import ConfigurationError
    from ..settings import load_settings

    secrets = load_settings().webhook_secret
    if given is None and not secrets:
        raise ConfigurationError("No webhook secret. Give --secret, or set LAYERCODE_WEBHOOK_SECRET.")
    return given if given is not None else secrets[0].get_secret_value()
