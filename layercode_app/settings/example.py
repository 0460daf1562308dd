"""Generate `.env.example` from the table of settings."""

from __future__ import annotations

from .table import Settings, env_name


def env_example() -> str:
    """Return the text of `.env.example`: each setting commented out, below its description."""
    lines = [
        "# Copy this file to .env and set what you need; every line is optional. Generated from the settings table."
    ]
    section = ""
    for info in Settings.model_fields.values():
        extra = info.json_schema_extra
        assert isinstance(extra, dict)
        if extra["section"] != section:
            section = str(extra["section"])
            lines += ["", f"# --- {section}"]
        lines += [f"# {info.description}", f"# {env_name(info)}={_shown(info.default)}"]
    lines += ["", "# --- Model providers read their own variables", "# OPENAI_API_KEY=", "# OPENAI_BASE_URL="]
    return "\n".join(lines) + "\n"


def _shown(default: object) -> str:
    if default is None or default == () or default == {}:
        return ""
    if isinstance(default, tuple):
        return ",".join(map(str, default))
    return str(default).lower() if isinstance(default, bool) else str(default)
