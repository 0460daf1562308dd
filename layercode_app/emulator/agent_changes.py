"""Update an agent through the REST API. Only the fields in the request are changed."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, field_validator

from ..exceptions import ConfigurationError
from ..platform.webhook_places import webhook_places
from .agents import AgentSpec, is_webhook, merge
from .webhooks import check_url


class AgentChanges(BaseModel):
    """The body of `POST /agents/{id}`. Unknown fields are ignored, as on the platform."""

    model_config = ConfigDict(extra="ignore")

    name: str | None = None
    webhook_url: str | None = None
    config: dict[str, Any] | None = None

    @field_validator("webhook_url")
    @classmethod
    def _is_url(cls, url: str | None) -> str | None:
        if url is not None:
            try:
                check_url(url)
            except ConfigurationError as error:
                raise ValueError(str(error)) from error
        return url

    @field_validator("config")
    @classmethod
    def _names_a_url(cls, config: dict[str, Any] | None) -> dict[str, Any] | None:
        for url in webhook_places(None, config or {}).values():
            cls._is_url(url)
        return config

    def apply(self, agent: AgentSpec) -> None:
        """Apply the changes to the agent."""
        if self.name is not None:
            agent.name = self.name
        if self.config is not None:
            agent.kept_config = merge(agent.kept_config, _without_webhook(self.config))
        agent.webhook_url = self.new_url or agent.webhook_url

    def then(self, later: AgentChanges) -> AgentChanges:
        """Combine these changes with later changes. Applying the result has the effect of applying both in order."""
        return AgentChanges(
            name=self.name if later.name is None else later.name,
            webhook_url=later.new_url or self.new_url,
            config=merge(_without_webhook(self.config or {}), _without_webhook(later.config or {})),
        )

    @property
    def new_url(self) -> str | None:
        """The new URL of the webhook; None if it does not change."""
        return next(iter(webhook_places(self.webhook_url, self.config or {}).values()), None)


def _without_webhook(config: dict[str, Any]) -> dict[str, Any]:
    """Return the configuration without the webhook URLs, which the agent stores separately."""
    kept = {name: value for name, value in config.items() if name != "endpoint"}
    if isinstance(plugins := kept.get("plugins"), list):
        kept["plugins"] = [plugin for plugin in plugins if not is_webhook(plugin)]
    return kept
