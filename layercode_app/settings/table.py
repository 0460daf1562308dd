"""The table of settings: one row per setting, with its default, variable, section and description."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import AliasChoices, Field, SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, SettingsConfigDict

from .values import BaseUrl, CommaSeparated, Level, Pattern, Port, Rate, Route, SecretList

FILLERS = (
    "One moment. | I'm still on it. | Bear with me, please. | This is taking a little longer. | Thanks for waiting. | "
    "I'm still here. | Still working on it. | Thank you for your patience. | I haven't forgotten you. | "
    "It is taking its time today. | I'm sorry about the wait. | Please stay on the line."
)
"""The default fillers, spoken every few seconds. They suffice for a 30 s tool call and a model that fails after it."""
OFF = "off"


def _setting(default: Any, env: str, section: str, description: str) -> Any:
    """Return one row of the table: its default, environment variable, section of `.env.example`, and description."""
    alias = AliasChoices(env.lower(), env)
    extra: dict[str, Any] = {"env": env, "section": section}
    return Field(default, validation_alias=alias, description=description, json_schema_extra=extra)


class Settings(BaseSettings):
    """All settings with their descriptions. Create it with `load_settings`."""

    model_config = SettingsConfigDict(extra="ignore", populate_by_name=True, env_ignore_empty=True, frozen=True)

    # --- Platform
    webhook_secret: SecretList = _setting(
        (),
        "LAYERCODE_WEBHOOK_SECRET",
        "Platform",
        "Secret of the agent's webhook, from the platform's dashboard; several, comma-separated, while rotating.",
    )
    agent_secrets: dict[str, SecretStr] = _setting(
        {},
        "LAYERCODE_AGENT_SECRETS",
        "Platform",
        'Webhook secret per agent as JSON, {"name": "secret"}; such an agent accepts no other.',
    )
    api_key: SecretStr | None = _setting(
        None, "LAYERCODE_API_KEY", "Platform", "Key of the platform's REST API; /api/authorize needs it."
    )
    agent_id: str | None = _setting(None, "LAYERCODE_AGENT_ID", "Platform", "The agent's id at the platform.")
    api_url: BaseUrl = _setting(
        "https://api.layercode.com/v1", "LAYERCODE_API_URL", "Platform", "Base URL of the platform's REST API."
    )
    api_timeout: float = _setting(
        10.0, "LAYERCODE_API_TIMEOUT", "Platform", "Seconds the platform's REST API may take for one answer."
    )
    production_agents: CommaSeparated = _setting(
        (),
        "LAYERCODE_PRODUCTION_AGENTS",
        "Platform",
        "Ids of agents whose webhook a tunnel must never take, comma-separated.",
    )

    handoff_url: str | None = _setting(
        None,
        "LAYERCODE_HANDOFF_URL",
        "Platform",
        "Where turn.handoff() is posted, signed with the webhook secret; empty keeps it in the journal.",
    )

    # --- Tunnel
    tunnel_command: str = _setting(
        "cloudflared tunnel --no-autoupdate --url {url}",
        "LAYERCODE_TUNNEL_COMMAND",
        "Tunnel",
        "What --tunnel runs; {url} is this server's own.",
    )
    tunnel_pattern: Pattern = _setting(
        r"https://[a-z0-9-]+\.trycloudflare\.com",
        "LAYERCODE_TUNNEL_PATTERN",
        "Tunnel",
        "Regular expression of the public URL in what the command prints.",
    )
    tunnel_url: str | None = _setting(
        None, "LAYERCODE_TUNNEL_URL", "Tunnel", "The public URL, where the command's is always the same."
    )
    tunnel_timeout: float = _setting(
        60.0, "LAYERCODE_TUNNEL_TIMEOUT", "Tunnel", "Seconds to wait for the tunnel's URL, and to reach us through it."
    )

    # --- Emulator
    stt: str | None = _setting(
        None,
        "LAYERCODE_STT",
        "Emulator",
        "Speech recognition of dev and emulator: the URL of a service with OpenAI's /audio/transcriptions, or a program "
        "that reads a WAV on stdin or as the file {wav}.",
    )
    stt_key: SecretStr | None = _setting(
        None, "LAYERCODE_STT_KEY", "Emulator", "Key of the speech recognition service, where it wants one."
    )
    stt_model: str = _setting("whisper-1", "LAYERCODE_STT_MODEL", "Emulator", "Model that the service is asked for.")

    # --- Authorize
    authorize_origins: CommaSeparated = _setting(
        (),
        "LAYERCODE_AUTHORIZE_ORIGINS",
        "Authorize",
        "Web pages that may ask for a session key, such as https://shop.example, http://localhost:* or *; "
        "the server's own host always may.",
    )
    authorize_agents: CommaSeparated = _setting(
        (),
        "LAYERCODE_AUTHORIZE_AGENTS",
        "Authorize",
        "Ids of the agents a page may ask for, or *; default LAYERCODE_AGENT_ID.",
    )
    authorize_fields: CommaSeparated = _setting(
        (),
        "LAYERCODE_AUTHORIZE_FIELDS",
        "Authorize",
        "Fields of a page's request to forward beside agent_id, conversation_id, metadata and sdk_version.",
    )
    authorize_rate: Rate = _setting(
        "20/minute", "LAYERCODE_AUTHORIZE_RATE", "Authorize", "Session keys one client may ask for; empty is no limit."
    )
    authorize_body_limit: int = _setting(
        16_384, "LAYERCODE_AUTHORIZE_BODY_LIMIT", "Authorize", "Largest request for a session key, in bytes."
    )

    # --- Agents and models
    agents_dir: Path | None = _setting(
        None, "LAYERCODE_AGENTS_DIR", "Agents", "Folder of agent files; default ./agents, then the built-in ones."
    )
    default_model: str | None = _setting(
        None,
        "DEFAULT_MODEL",
        "Agents",
        "Model of agents that name none, such as openai:gpt-5-mini; without one they answer offline.",
    )
    fallback_models: CommaSeparated = _setting(
        (),
        "FALLBACK_MODELS",
        "Agents",
        "Models to try in order when the first (also an agent's own) fails before anything was spoken.",
    )
    history_tokens: int = _setting(
        8000,
        "LAYERCODE_HISTORY_TOKENS",
        "Agents",
        "Most tokens (estimated) of earlier turns given to the model: text, tool calls and results.",
    )

    # --- Conversation
    store: str = _setting(
        "sqlite:///.layercode/journal.sqlite3",
        "LAYERCODE_STORE",
        "Conversation",
        "Where the journal is kept: sqlite:///PATH, redis://HOST:PORT/DB or memory.",
    )
    retention_days: float = _setting(
        30.0, "LAYERCODE_RETENTION_DAYS", "Conversation", "Days after which conversations are deleted; 0 keeps them."
    )
    turn_timeout: float = _setting(
        120.0, "LAYERCODE_TURN_TIMEOUT", "Conversation", "Seconds after which a turn is ended with a spoken apology."
    )
    tool_timeout: float = _setting(
        30.0, "LAYERCODE_TOOL_TIMEOUT", "Conversation", "Seconds after which one tool call is given up."
    )
    first_token_timeout: float = _setting(
        8.0,
        "LAYERCODE_FIRST_TOKEN_TIMEOUT",
        "Conversation",
        "Seconds in which a model must begin to answer a request, thinking included; then it, or its fallback, is "
        "asked again. 0 is no limit.",
    )
    piece_timeout: float = _setting(
        6.0,
        "LAYERCODE_PIECE_TIMEOUT",
        "Conversation",
        "Seconds that a model may pause within an answer; then the turn ends with an apology, or, where no word was "
        "spoken, the model is asked again. 0 is no limit.",
    )
    filler: str = _setting(
        FILLERS,
        "LAYERCODE_FILLER",
        "Conversation",
        "What agents with a model say into a silence, one after another, separated by |; off for nothing.",
    )
    hook_timeout: float = _setting(
        30.0,
        "LAYERCODE_HOOK_TIMEOUT",
        "Conversation",
        "Seconds in which hooks must answer data and other events without speech.",
    )
    timeout_apology: str = _setting(
        "Sorry, that is taking too long. Could you ask me again?",
        "LAYERCODE_TIMEOUT_APOLOGY",
        "Conversation",
        "What is spoken when a turn runs out of time.",
    )
    apology: str = _setting(
        "Sorry, something went wrong on my side. Could you say that again?",
        "LAYERCODE_APOLOGY",
        "Conversation",
        "What is spoken when a turn fails.",
    )
    cut_answer: str = _setting(
        "I'm sorry, I have to stop there. What else can I do for you?",
        "LAYERCODE_CUT_ANSWER",
        "Conversation",
        "What is spoken when a model's token limit or content filter ends its answer in mid-sentence.",
    )
    tool_apology: str = _setting(
        "Sorry, I lost my thread for a moment. How would you like to go on?",
        "LAYERCODE_TOOL_APOLOGY",
        "Conversation",
        "What is spoken when a turn fails after a tool was called: to ask for the same again may order it twice. "
        "LAYERCODE_APOLOGY, where only that is set.",
    )
    max_turns: int = _setting(
        1000, "LAYERCODE_MAX_TURNS", "Conversation", "Turns that may run at once in a process; 0 is no limit."
    )
    busy: str = _setting(
        "I'm sorry, I can't take that right now. Please try again in a moment.",
        "LAYERCODE_BUSY",
        "Conversation",
        "What is spoken past that limit, and while the server goes down.",
    )
    goodbye: str = _setting(
        " I'm sorry, I have to stop here. Please say that again in a moment.",
        "LAYERCODE_GOODBYE",
        "Conversation",
        "What is spoken when a turn is ended because the server goes down.",
    )

    # --- Server
    host: str = _setting("0.0.0.0", "HOST", "Server", "Address `run` listens on; `dev` always uses 127.0.0.1.")
    port: Port = _setting(8000, "PORT", "Server", "Port to listen on; 0 takes a free one.")
    agent_route: Route = _setting("/api/agent", "LAYERCODE_AGENT_ROUTE", "Server", "Path of the webhook.")
    authorize_route: Route = _setting(
        "/api/authorize", "LAYERCODE_AUTHORIZE_ROUTE", "Server", "Path the browser SDK asks for a session key."
    )
    body_limit: int = _setting(1_000_000, "LAYERCODE_BODY_LIMIT", "Server", "Largest request body, in bytes.")
    body_timeout: float = _setting(
        10.0, "LAYERCODE_BODY_TIMEOUT", "Server", "Seconds in which a request's body must have arrived."
    )
    header_limit: int = _setting(
        65_536, "LAYERCODE_HEADER_LIMIT", "Server", "Largest request line and headers together, in bytes."
    )
    header_timeout: float = _setting(
        10.0, "LAYERCODE_HEADER_TIMEOUT", "Server", "Seconds in which a request's headers must have arrived."
    )
    keep_alive: int = _setting(
        75, "LAYERCODE_KEEP_ALIVE", "Server", "Seconds an idle connection is kept; more than the proxy's in front."
    )
    unread_timeout: float = _setting(
        30.0, "LAYERCODE_UNREAD_TIMEOUT", "Server", "Seconds after which a client that does not read is cut off."
    )
    drain_seconds: float = _setting(
        30.0, "LAYERCODE_DRAIN_SECONDS", "Server", "Seconds that running turns may go on after SIGTERM."
    )
    trusted_proxies: CommaSeparated = _setting(
        ("127.0.0.1",),
        "LAYERCODE_TRUSTED_PROXIES",
        "Server",
        "Addresses or networks whose X-Forwarded-For and -Proto are believed, comma-separated, or *.",
    )

    # --- Observability
    log_level: Level = _setting("INFO", "LOG_LEVEL", "Observability", "TRACE, DEBUG, INFO, WARNING or ERROR.")
    log_dir: str = _setting("logs", "LOG_DIR", "Observability", "Folder of the JSON log files; empty writes none.")
    log_format: Literal["console", "json"] = _setting(
        "console", "LOG_FORMAT", "Observability", "console for people, json for JSON lines on stdout."
    )
    log_rotation: str = _setting("500 MB", "LOG_ROTATION", "Observability", "When a log file is rotated.")
    log_retention: str = _setting("10 days", "LOG_RETENTION", "Observability", "How long rotated files are kept.")
    log_per_agent: bool = _setting(False, "LOG_PER_AGENT", "Observability", "Also one log file per agent.")
    log_headers: CommaSeparated = _setting(
        ("user-agent",), "LOG_HEADERS", "Observability", "Request headers that may be logged, comma-separated."
    )
    app_env: str = _setting("development", "APP_ENV", "Observability", "Environment named on logs, spans and errors.")
    service_name: str = _setting("layercode-app", "SERVICE_NAME", "Observability", "Service named on them.")
    service_version: str | None = _setting(
        None, "SERVICE_VERSION", "Observability", "Version of your service; default the version in ./pyproject.toml."
    )
    telemetry_enabled: bool = _setting(
        True, "TELEMETRY_ENABLED", "Observability", "false turns off spans, error reports and metrics."
    )
    capture_content: bool = _setting(
        False, "LAYERCODE_CAPTURE_CONTENT", "Observability", "true lets transcripts into logs and spans."
    )
    trace_rate: float = _setting(
        1.0,
        "LAYERCODE_TRACE_RATE",
        "Observability",
        "Share of turns whose spans are kept, 0 to 1; failed and slow turns always are.",
    )
    slow_turn: float = _setting(
        2.0, "LAYERCODE_SLOW_TURN", "Observability", "Seconds over which a turn's spans are always kept."
    )
    trace_hosts: CommaSeparated = _setting(
        (), "LAYERCODE_TRACE_HOSTS", "Observability", "Hosts of yours that are sent `traceparent`; models never are."
    )
    metrics_dir: Path = _setting(
        Path(".layercode/metrics"),
        "METRICS_DIR",
        "Observability",
        "Folder in which the processes of a host share what /metrics shows.",
    )
    logfire_token: SecretStr | None = _setting(None, "LOGFIRE_TOKEN", "Observability", "Write token of Logfire.")
    sentry_dsn: SecretStr | None = _setting(None, "SENTRY_DSN", "Observability", "DSN of Sentry.")

    # --- Watching
    budget_conversation: str = _setting(
        "",
        "LAYERCODE_BUDGET_CONVERSATION",
        "Watching",
        "Most one conversation may cost, such as $0.50, or 200k tokens; empty sets no bound.",
    )
    budget_day: str = _setting(
        "", "LAYERCODE_BUDGET_DAY", "Watching", "Most all calls of a day (UTC) may cost, such as $50, or 20M tokens."
    )
    budget_warning: float = _setting(
        0.8, "LAYERCODE_BUDGET_WARNING", "Watching", "Share of a budget from which the log warns."
    )
    budget_refusal: str = _setting(
        "I'm sorry, I can't help any further right now. Please call again later. Goodbye.",
        "LAYERCODE_BUDGET_REFUSAL",
        "Watching",
        "What is spoken instead of an answer when a budget is used up.",
    )
    alerts: tuple[dict[str, Any], ...] = _setting(
        (), "LAYERCODE_ALERTS", "Watching", "Alert rules as JSON; easier as [[alerts]] in layercode.toml."
    )
    alert_interval: float = _setting(
        30.0, "LAYERCODE_ALERT_INTERVAL", "Watching", "Seconds between two looks at the alert rules."
    )
    trace_url: str = _setting(
        "",
        "LAYERCODE_TRACE_URL",
        "Watching",
        "Where a trace is seen, such as https://jaeger.example/trace/{trace_id}; alerts link to one of their turns.",
    )
    channels: dict[str, SecretStr] = _setting(
        {},
        "LAYERCODE_CHANNELS",
        "Watching",
        "Where alerts and reports go, as JSON, name to apprise URL; easier as [channels] in layercode.toml.",
    )

    _sources: dict[str, str] = {}

    @property
    def fillers(self) -> tuple[str, ...]:
        """The single texts of `filler`; none if it is "off"."""
        if self.filler.strip().lower() == OFF:
            return ()
        return tuple(text for part in self.filler.split("|") if (text := part.strip()))

    @property
    def sources(self) -> Mapping[str, str]:
        """The source of each value: argument, environment, the file's name, or default."""
        return self._sources

    def secrets_for(self, agent: str) -> tuple[str, ...]:
        """Return the webhook secrets that this agent accepts: its own one, or else the common ones."""
        own = self.agent_secrets.get(agent)
        return (own.get_secret_value(),) if own else tuple(s.get_secret_value() for s in self.webhook_secret)


def env_name(info: FieldInfo) -> str:
    """Return the name of a setting's environment variable."""
    extra = info.json_schema_extra
    return str(extra["env"]) if isinstance(extra, dict) else ""
