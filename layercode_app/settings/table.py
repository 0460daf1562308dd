"""The table of settings: one row per setting, with its default, variable, section and description."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import AliasChoices, Field, SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, SettingsConfigDict

from .values import (
    BaseUrl,
    CommaSeparated,
    Level,
    NotNegative,
    NotNegativeInt,
    Pattern,
    Port,
    Positive,
    PositiveInt,
    Rate,
    Route,
    SecretList,
)

FILLERS = (
    "One moment. | I'm still on it. | Bear with me, please. | This is taking a little longer. | Thanks for waiting. | "
    "I'm still here. | Still working on it. | Thank you for your patience. | I haven't forgotten you. | "
    "It is taking its time today. | I'm sorry about the wait. | Please stay on the line."
)
"""The default fillers; every few seconds the next one is spoken.

There are enough fillers to cover a tool call of 30 s and, after it, a model that fails.
"""
OFF = "off"


def _setting(default: Any, env: str, section: str, description: str) -> Any:
    """Return one row of the table: its default, environment variable, section of `.env.example`, and description."""
    alias = AliasChoices(env.lower(), env)
    extra: dict[str, Any] = {"env": env, "section": section}
    return Field(default, validation_alias=alias, description=description, json_schema_extra=extra)


class Settings(BaseSettings):
    """All settings with their descriptions. Create it with `load_settings`."""

    # Code may set a field by its name, but the environment may not: a variable `API_KEY` may belong to another program.
    # No variable can begin with this prefix, so the environment sets fields only by their aliases.
    model_config = SettingsConfigDict(
        extra="ignore", populate_by_name=True, env_prefix="=", env_ignore_empty=True, frozen=True
    )

    # --- Platform
    webhook_secret: SecretList = _setting(
        (),
        "LAYERCODE_WEBHOOK_SECRET",
        "Platform",
        "Webhook secret from the platform's dashboard, or several during a rotation, comma-separated.",
    )
    agent_secrets: dict[str, SecretStr] = _setting(
        {},
        "LAYERCODE_AGENT_SECRETS",
        "Platform",
        'Webhook secrets per agent as JSON, {"name": "secret"}; these agents accept no other secret.',
    )
    api_key: SecretStr | None = _setting(
        None, "LAYERCODE_API_KEY", "Platform", "API key of the platform's REST API; /api/authorize needs it."
    )
    agent_id: str | None = _setting(None, "LAYERCODE_AGENT_ID", "Platform", "The agent's id at the platform.")
    api_url: BaseUrl = _setting(
        "https://api.layercode.com/v1", "LAYERCODE_API_URL", "Platform", "Base URL of the platform's REST API."
    )
    api_timeout: Positive = _setting(
        10.0, "LAYERCODE_API_TIMEOUT", "Platform", "Timeout in seconds for a request to the platform's REST API."
    )
    production_agents: CommaSeparated = _setting(
        (),
        "LAYERCODE_PRODUCTION_AGENTS",
        "Platform",
        "Ids of agents whose webhook is never set to a tunnel, comma-separated.",
    )

    handoff_url: str | None = _setting(
        None,
        "LAYERCODE_HANDOFF_URL",
        "Platform",
        "URL to which turn.handoff() posts a notice, signed with the webhook secret; if empty, handoffs are stored only "
        "in the journal.",
    )

    # --- Tunnel
    tunnel_command: str = _setting(
        "cloudflared tunnel --no-autoupdate --url {url}",
        "LAYERCODE_TUNNEL_COMMAND",
        "Tunnel",
        "Command that --tunnel runs; {url} is replaced by the local URL of this server.",
    )
    tunnel_pattern: Pattern = _setting(
        r"https://[a-z0-9-]+\.trycloudflare\.com",
        "LAYERCODE_TUNNEL_PATTERN",
        "Tunnel",
        "Regular expression that finds the public URL in the output of the tunnel command.",
    )
    tunnel_url: str | None = _setting(
        None, "LAYERCODE_TUNNEL_URL", "Tunnel", "Public URL of the tunnel, if it never changes."
    )
    tunnel_timeout: Positive = _setting(
        60.0,
        "LAYERCODE_TUNNEL_TIMEOUT",
        "Tunnel",
        "Timeout in seconds, applied twice: until the tunnel prints its URL, and then until that URL reaches this server.",
    )

    # --- Emulator
    stt: str | None = _setting(
        None,
        "LAYERCODE_STT",
        "Emulator",
        "Speech recognition of dev and emulator: URL of an OpenAI-compatible /audio/transcriptions, or a program that "
        "reads a WAV from stdin or from the file {wav}.",
    )
    stt_key: SecretStr | None = _setting(
        None, "LAYERCODE_STT_KEY", "Emulator", "API key of the speech recognition service, if it needs one."
    )
    stt_model: str = _setting(
        "whisper-1", "LAYERCODE_STT_MODEL", "Emulator", "Model of the speech recognition service."
    )

    # --- Authorize
    authorize_origins: CommaSeparated = _setting(
        (),
        "LAYERCODE_AUTHORIZE_ORIGINS",
        "Authorize",
        "Origins that may request a session key, such as https://shop.example, http://localhost:* or *; "
        "the server's own host is always allowed.",
    )
    authorize_agents: CommaSeparated = _setting(
        (),
        "LAYERCODE_AUTHORIZE_AGENTS",
        "Authorize",
        "Ids of the agents that a page may request, or *; by default only LAYERCODE_AGENT_ID.",
    )
    authorize_fields: CommaSeparated = _setting(
        (),
        "LAYERCODE_AUTHORIZE_FIELDS",
        "Authorize",
        "Fields of the page's request that are forwarded to the platform, besides agent_id, conversation_id, metadata "
        "and sdk_version; comma-separated.",
    )
    authorize_rate: Rate = _setting(
        "20/minute",
        "LAYERCODE_AUTHORIZE_RATE",
        "Authorize",
        "Maximum rate of session keys per client, such as 100/hour; if empty, there is no limit.",
    )
    authorize_body_limit: PositiveInt = _setting(
        16_384, "LAYERCODE_AUTHORIZE_BODY_LIMIT", "Authorize", "Maximum size of a request for a session key, in bytes."
    )

    # --- Agents and models
    agents_dir: Path | None = _setting(
        None,
        "LAYERCODE_AGENTS_DIR",
        "Agents",
        "Folder of your agent files; default ./agents. Without agents of your own, the built-in `starter` answers.",
    )
    default_model: str | None = _setting(
        None,
        "DEFAULT_MODEL",
        "Agents",
        "Model for agents that set no model, such as openai:gpt-5-mini. If empty, these agents answer offline, "
        "but `run` with APP_ENV=production does not start.",
    )
    fallback_models: CommaSeparated = _setting(
        (),
        "FALLBACK_MODELS",
        "Agents",
        "Models to try, in this order, if the agent's model fails before anything was spoken; comma-separated.",
    )
    hedge_after: NotNegative = _setting(
        0.0,
        "LAYERCODE_HEDGE_AFTER",
        "Agents",
        "Seconds to wait for a model's first token before the request is sent a second time; the faster answer is "
        "spoken, the other request is cancelled. 0 sends no second request.",
    )
    hedge_model: str | None = _setting(
        None,
        "LAYERCODE_HEDGE_MODEL",
        "Agents",
        "Model for the second request that LAYERCODE_HEDGE_AFTER sends. By default, both requests go to the same model.",
    )
    summary_model: str | None = _setting(
        None,
        "LAYERCODE_SUMMARY_MODEL",
        "Agents",
        "Model that sums up the older turns of agents with summary=True, and takes the notes of agents with remember=; "
        "by default, the agent's own model.",
    )
    judge_model: str | None = _setting(
        None,
        "LAYERCODE_JUDGE_MODEL",
        "Agents",
        "Model that judges ended calls, for agents with judges=[...]; by default, the agent's own model.",
    )
    judge_max_cost: NotNegative = _setting(
        1.0,
        "LAYERCODE_JUDGE_MAX_COST",
        "Agents",
        "Dollars that judges of live calls may cost in a day (UTC); beyond that, no more calls are judged that day.",
    )
    model_keep_alive: NotNegative = _setting(
        300.0,
        "LAYERCODE_MODEL_KEEP_ALIVE",
        "Agents",
        "Seconds that an idle connection to a model's provider stays open, for the next turns.",
    )
    model_http2: bool = _setting(
        False,
        "LAYERCODE_MODEL_HTTP2",
        "Agents",
        "Use HTTP/2 with providers that support it: all calls share one connection. Needs layercode-app[http2].",
    )
    history_tokens: NotNegativeInt = _setting(
        8000,
        "LAYERCODE_HISTORY_TOKENS",
        "Agents",
        "Maximum tokens (estimated) of earlier turns in a model request: text, tool calls and results.",
    )

    # --- Conversation
    store: str = _setting(
        "sqlite:///.layercode/journal.sqlite3",
        "LAYERCODE_STORE",
        "Conversation",
        "URL of the journal: sqlite:///PATH, redis://HOST:PORT/DB, postgresql://HOST/DB or memory.",
    )
    retention_days: NotNegative = _setting(
        30.0,
        "LAYERCODE_RETENTION_DAYS",
        "Conversation",
        "Days after which conversations are deleted; 0 keeps them forever.",
    )
    turn_timeout: Positive = _setting(
        120.0,
        "LAYERCODE_TURN_TIMEOUT",
        "Conversation",
        "Seconds after which a turn is stopped and ends with a spoken apology.",
    )
    tool_timeout: Positive = _setting(
        30.0, "LAYERCODE_TOOL_TIMEOUT", "Conversation", "Timeout of one tool call in seconds."
    )
    first_token_timeout: NotNegative = _setting(
        8.0,
        "LAYERCODE_FIRST_TOKEN_TIMEOUT",
        "Conversation",
        "Seconds until a model must send its first token, which may belong to its reasoning. If the token comes later, "
        "the request is retried or sent to the fallback. 0 means no limit.",
    )
    piece_timeout: NotNegative = _setting(
        6.0,
        "LAYERCODE_PIECE_TIMEOUT",
        "Conversation",
        "Seconds that a model may pause within an answer. After a longer pause, the request is retried if nothing was "
        "spoken and no tool was called; otherwise the turn ends with an apology. 0 means no limit.",
    )
    filler: str = _setting(
        FILLERS,
        "LAYERCODE_FILLER",
        "Conversation",
        "Texts, separated by |, that agents with a model speak one after another during a silence; off disables them.",
    )
    hook_timeout: Positive = _setting(
        30.0,
        "LAYERCODE_HOOK_TIMEOUT",
        "Conversation",
        "Timeout in seconds of the hook `on_authorize`, and of hooks for data and other events without speech, but not of "
        "`on_session_end`.",
    )
    timeout_apology: str = _setting(
        "Sorry, that is taking too long. Could you ask me again?",
        "LAYERCODE_TIMEOUT_APOLOGY",
        "Conversation",
        "Spoken when a turn exceeds its timeout.",
    )
    apology: str = _setting(
        "Sorry, something went wrong on my side. Could you say that again?",
        "LAYERCODE_APOLOGY",
        "Conversation",
        "Spoken when a turn fails.",
    )
    cut_answer: str = _setting(
        "I'm sorry, I have to stop there. What else can I do for you?",
        "LAYERCODE_CUT_ANSWER",
        "Conversation",
        "Spoken when a model's token limit or content filter ends its answer in mid-sentence.",
    )
    tool_apology: str = _setting(
        "Sorry, I lost my thread for a moment. How would you like to go on?",
        "LAYERCODE_TOOL_APOLOGY",
        "Conversation",
        "Spoken when a turn fails after a tool call. It should not ask the caller to repeat the request, because the "
        "tool could run again. If only LAYERCODE_APOLOGY is set, that text is spoken instead.",
    )
    max_turns: NotNegativeInt = _setting(
        1000, "LAYERCODE_MAX_TURNS", "Conversation", "Maximum concurrent turns per process; 0 means no limit."
    )
    busy: str = _setting(
        "I'm sorry, I can't take that right now. Please try again in a moment.",
        "LAYERCODE_BUSY",
        "Conversation",
        "Spoken if LAYERCODE_MAX_TURNS turns are running, and while the server shuts down.",
    )
    goodbye: str = _setting(
        " I'm sorry, I have to stop here. Please say that again in a moment.",
        "LAYERCODE_GOODBYE",
        "Conversation",
        "Spoken when a turn is ended because the server shuts down.",
    )

    # --- Server
    host: str = _setting("0.0.0.0", "HOST", "Server", "Address that `run` listens on; `dev` always uses 127.0.0.1.")
    port: Port = _setting(8000, "PORT", "Server", "Port to listen on; 0 picks a free one.")
    agent_route: Route = _setting("/api/agent", "LAYERCODE_AGENT_ROUTE", "Server", "Path of the webhook.")
    authorize_route: Route = _setting(
        "/api/authorize", "LAYERCODE_AUTHORIZE_ROUTE", "Server", "Path where the browser SDK requests a session key."
    )
    body_limit: PositiveInt = _setting(
        1_000_000, "LAYERCODE_BODY_LIMIT", "Server", "Maximum size of a request body, in bytes."
    )
    body_timeout: Positive = _setting(
        10.0, "LAYERCODE_BODY_TIMEOUT", "Server", "Timeout in seconds for receiving a request's body."
    )
    header_limit: PositiveInt = _setting(
        65_536, "LAYERCODE_HEADER_LIMIT", "Server", "Maximum size of request line and headers, in bytes."
    )
    header_timeout: Positive = _setting(
        10.0, "LAYERCODE_HEADER_TIMEOUT", "Server", "Timeout in seconds for receiving a request's headers."
    )
    keep_alive: NotNegativeInt = _setting(
        75,
        "LAYERCODE_KEEP_ALIVE",
        "Server",
        "Seconds that an idle connection stays open; set it higher than the keep-alive of the proxy in front.",
    )
    unread_timeout: Positive = _setting(
        30.0,
        "LAYERCODE_UNREAD_TIMEOUT",
        "Server",
        "Seconds after which a client that does not read its response is disconnected.",
    )
    drain_seconds: NotNegative = _setting(
        30.0, "LAYERCODE_DRAIN_SECONDS", "Server", "Seconds that running turns may continue after SIGTERM."
    )
    trusted_proxies: CommaSeparated = _setting(
        ("127.0.0.1",),
        "LAYERCODE_TRUSTED_PROXIES",
        "Server",
        "Addresses or networks whose X-Forwarded-For and X-Forwarded-Proto are trusted, comma-separated, or *.",
    )

    # --- Observability
    log_level: Level = _setting(
        "INFO", "LOG_LEVEL", "Observability", "Minimum log level: TRACE, DEBUG, INFO, WARNING or ERROR."
    )
    log_dir: str = _setting(
        "logs", "LOG_DIR", "Observability", "Folder of the JSON log files; if empty, no files are written."
    )
    log_format: Literal["console", "json"] = _setting(
        "console",
        "LOG_FORMAT",
        "Observability",
        "Log format: console for people, on stderr; json for JSON lines, on stdout.",
    )
    log_rotation: str = _setting(
        "500 MB",
        "LOG_ROTATION",
        "Observability",
        "Size, age or time of day at which a log file is rotated: 500 MB, 1 day or 00:00.",
    )
    log_retention: str = _setting("10 days", "LOG_RETENTION", "Observability", "How long rotated files are kept.")
    log_per_agent: bool = _setting(
        False, "LOG_PER_AGENT", "Observability", "If true, each agent also has its own log file."
    )
    log_headers: CommaSeparated = _setting(
        ("user-agent",), "LOG_HEADERS", "Observability", "Request headers that may be logged, comma-separated."
    )
    app_env: str = _setting(
        "development",
        "APP_ENV",
        "Observability",
        "Environment name in logs, spans and errors. With `production`, the server does not start if an agent needs a "
        "model, but neither the agent nor DEFAULT_MODEL names one.",
    )
    service_name: str = _setting(
        "layercode-app", "SERVICE_NAME", "Observability", "Service name in logs, spans and errors."
    )
    service_version: str | None = _setting(
        None,
        "SERVICE_VERSION",
        "Observability",
        "Version of your service. By default, the version in ./pyproject.toml, or else the version of the installed "
        "distribution.",
    )
    telemetry_enabled: bool = _setting(
        True, "TELEMETRY_ENABLED", "Observability", "If false, spans, error reports and metrics are off."
    )
    capture_content: bool = _setting(
        False,
        "LAYERCODE_CAPTURE_CONTENT",
        "Observability",
        "If true, logs and spans include transcripts, and all sinks include the messages of errors.",
    )
    trace_rate: float = _setting(
        1.0,
        "LAYERCODE_TRACE_RATE",
        "Observability",
        "Share of turns whose spans are kept, 0 to 1; the spans of failed and slow turns are always kept.",
    )
    slow_turn: NotNegative = _setting(
        2.0,
        "LAYERCODE_SLOW_TURN",
        "Observability",
        "A turn that takes more than this many seconds always keeps its spans.",
    )
    trace_hosts: CommaSeparated = _setting(
        (),
        "LAYERCODE_TRACE_HOSTS",
        "Observability",
        "Your own hosts, comma-separated; only requests to them carry `traceparent`. Do not list the hosts of model "
        "providers.",
    )
    metrics_dir: Path = _setting(
        Path(".layercode/metrics"),
        "METRICS_DIR",
        "Observability",
        "Folder through which the processes of a host share their metrics; /metrics shows the metrics of all.",
    )
    logfire_token: SecretStr | None = _setting(None, "LOGFIRE_TOKEN", "Observability", "Logfire write token.")
    sentry_dsn: SecretStr | None = _setting(None, "SENTRY_DSN", "Observability", "DSN of Sentry.")

    # --- Watching
    budget_conversation: str = _setting(
        "",
        "LAYERCODE_BUDGET_CONVERSATION",
        "Watching",
        "Budget of one conversation, such as $0.50 or 200k tokens; if empty, there is no limit.",
    )
    budget_day: str = _setting(
        "", "LAYERCODE_BUDGET_DAY", "Watching", "Budget of all calls of a day (UTC), such as $50 or 20M tokens."
    )
    budget_warning: NotNegative = _setting(
        0.8, "LAYERCODE_BUDGET_WARNING", "Watching", "Share of a budget above which a warning is logged."
    )
    budget_refusal: str = _setting(
        "I'm sorry, I can't help any further right now. Please call again later. Goodbye.",
        "LAYERCODE_BUDGET_REFUSAL",
        "Watching",
        "Spoken instead of an answer when a budget is used up.",
    )
    alerts: tuple[dict[str, Any], ...] = _setting(
        (), "LAYERCODE_ALERTS", "Watching", "Alert rules as JSON; [[alerts]] in layercode.toml are easier to write."
    )
    alert_interval: Positive = _setting(
        30.0, "LAYERCODE_ALERT_INTERVAL", "Watching", "Seconds between two checks of the alert rules."
    )
    trace_url: str = _setting(
        "",
        "LAYERCODE_TRACE_URL",
        "Watching",
        "URL of a trace, such as https://jaeger.example/trace/{trace_id}; alerts use it to link to an affected turn.",
    )
    channels: dict[str, SecretStr] = _setting(
        {},
        "LAYERCODE_CHANNELS",
        "Watching",
        "Channels for alerts and reports: a JSON object that maps names to Apprise URLs. [channels] in layercode.toml "
        "is easier to write.",
    )

    _sources: dict[str, str] = {}

    @property
    def fillers(self) -> tuple[str, ...]:
        """The texts of `filler` as a tuple; empty if it is "off"."""
        if self.filler.strip().lower() == OFF:
            return ()
        return tuple(text for part in self.filler.split("|") if (text := part.strip()))

    @property
    def sources(self) -> Mapping[str, str]:
        """The source of each value: argument, environment, the file's name, or default."""
        return self._sources

    def secrets_for(self, agent: str) -> tuple[str, ...]:
        """Return the webhook secrets that this agent accepts: its own secret if it has one, else the common ones."""
        own = self.agent_secrets.get(agent)
        return (own.get_secret_value(),) if own else tuple(s.get_secret_value() for s in self.webhook_secret)


def env_name(info: FieldInfo) -> str:
    """Return the name of a setting's environment variable."""
    extra = info.json_schema_extra
    return str(extra["env"]) if isinstance(extra, dict) else ""
