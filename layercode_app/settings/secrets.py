"""Detect secrets that cannot be real: damaged by copying, or a placeholder that was never replaced."""

from __future__ import annotations

from collections.abc import Iterator

from ..exceptions import ConfigurationError
from .table import Settings

WEBHOOK_SECRET = "LAYERCODE_WEBHOOK_SECRET"  # noqa: S105 - the name of the variable
NO_SECRET = (
    "No webhook secret is set, so webhooks cannot be verified. Add this line to .env, with your agent's webhook secret "
    f"from the platform's dashboard:\n    {WEBHOOK_SECRET}=<secret>\n"
    "Or run `layercode-create-app connect`, which writes it. `layercode-create-app dev` needs no secret of yours."
)


def fault_of(secret: str) -> str:
    """Return why this text cannot be a secret, as the end of a sentence, or "" if it can be one."""
    if not secret:
        return "is empty"
    if not secret.isascii() or not secret.isprintable() or any(character.isspace() for character in secret):
        return "contains a space or another character that no secret has"
    return "is in quotes or angle brackets" if {secret[0], secret[-1]} & set("\"'<>") else ""


def refuse_faulty_secrets(settings: Settings) -> None:
    """Raise ConfigurationError for an empty, damaged or placeholder secret. The error does not show the secret."""
    for name, source, secret in _secrets(settings):
        if fault := fault_of(secret):
            raise ConfigurationError(
                f"{name} ({source}) {fault}: expected the secret itself. Copy the whole secret from the platform's "
                "dashboard, without quotes or brackets."
            )


def _secrets(settings: Settings) -> Iterator[tuple[str, str, str]]:
    sources = settings.sources
    for secret in settings.webhook_secret:
        yield WEBHOOK_SECRET, sources.get("webhook_secret", "argument"), secret.get_secret_value()
    for agent, secret in settings.agent_secrets.items():
        source = sources.get("agent_secrets", "argument")
        yield f"LAYERCODE_AGENT_SECRETS[{agent}]", source, secret.get_secret_value()
    if settings.api_key is not None:
        yield "LAYERCODE_API_KEY", sources.get("api_key", "argument"), settings.api_key.get_secret_value()
