"""Suggest a fix for common errors of a new project, such as a wrong API key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..settings.provider_keys import PROVIDER_KEYS
from .errors import chain
from .old_habits import instead_of

PROVIDERS_BY_HOST: Mapping[str, str] = {
    "api.openai.com": "openai",
    "api.anthropic.com": "anthropic",
    "api.cohere.com": "cohere",
    "generativelanguage.googleapis.com": "google",
    "api.groq.com": "groq",
    "api.mistral.ai": "mistral",
    "openrouter.ai": "openrouter",
    "api.x.ai": "xai",
    "api.deepseek.com": "deepseek",
}
"""Maps the end of a host's name to the provider, because several providers are called through OpenAI's client."""
PROVIDERS_BY_CLIENT: Mapping[str, str] = {
    "openai": "openai",
    "anthropic": "anthropic",
    "cohere": "cohere",
    "google": "google",
    "groq": "groq",
    "mistralai": "mistral",
    "xai_sdk": "xai",
}
"""Maps a client library to its provider: an error's class tells which library raised the error."""
FIX_BY_KIND: Mapping[str, str] = {
    "ModelQuotaExceededError": "The provider's account has no credit left. Add credit there, or choose another model.",
    "ModelContextWindowExceededError": "The conversation is too long for the model. Lower LAYERCODE_HISTORY_TOKENS.",
    "UsageLimitExceeded": "The agent's usage limit ended the run. Raise the limit, or make the agent call fewer tools.",
    "HookTimeoutError": "A hook took too long. Make it faster, or raise LAYERCODE_HOOK_TIMEOUT.",
    "ModelStalledError": "The model paused within its answer. Raise LAYERCODE_PIECE_TIMEOUT, or set FALLBACK_MODELS.",
    "ModelRequestTimeout": "The model did not begin in time. Raise LAYERCODE_FIRST_TOKEN_TIMEOUT, or set FALLBACK_MODELS.",
}
"""Maps the name of an error's class to the fix, for classes that are more precise than the error's category."""
FIX_BY_CATEGORY: Mapping[str, str] = {
    "rate_limit": "The provider limits your requests. Wait a minute, or set FALLBACK_MODELS, which answer meanwhile.",
    "network": "The provider could not be reached. Check the internet connection and the provider's base URL.",
    "timeout": "The turn took too long. Raise LAYERCODE_TURN_TIMEOUT, or make the slow step faster.",
    "content_filter": "The provider's content filter refused the request or the answer. Reword the instructions.",
    "length": "The answer reached the token limit. Raise max_tokens, or ask for shorter answers.",
    "bad_request": "The provider refused the request itself, and would refuse it again. The error's message says why.",
    "bad_response": "The model's answer could not be read. Check the provider's base URL, or try another model.",
    "store": "The journal cannot be written. Check LAYERCODE_STORE and the free space.",
}


def fix_of(error: BaseException, category: str) -> str:
    """Return a sentence on how to fix an error, or "" if no fix is known."""
    if category == "authentication":
        return _key(error)
    names = [name for link in chain(error) for name in (base.__name__ for base in type(link).__mro__)]
    if "ModelNotFoundError" in names:
        return _no_model(error)
    known = next((FIX_BY_KIND[name] for name in names if name in FIX_BY_KIND), FIX_BY_CATEGORY.get(category, ""))
    return known or instead_of(chain(error))


def _key(error: BaseException) -> str:
    name = key_of(error)
    if any(getattr(link, "status_code", None) == 403 for link in chain(error)):
        return (
            f"The key {name or 'of the provider'} may not use this model. Allow the model for this key, or choose "
            "another model."
        )
    if not name:
        return "The key is wrong. Put the provider's right key into .env; it is read as soon as the file is saved."
    return f"The key is wrong: {name}. Put the right one into .env; it is read as soon as the file is saved."


def key_of(error: BaseException) -> str:
    """Return the environment variable of the API key that was refused, or "" if the provider is unknown."""
    for link in chain(error):
        host = _host(link)
        found = next((provider for end, provider in PROVIDERS_BY_HOST.items() if host.endswith(end)), None)
        if found is not None:
            return PROVIDER_KEYS[found]
    clients = (type(link).__module__.partition(".")[0] for link in chain(error))
    return next((PROVIDER_KEYS[PROVIDERS_BY_CLIENT[one]] for one in clients if one in PROVIDERS_BY_CLIENT), "")


def _host(error: Any) -> str:
    try:
        return str(error.response.request.url.host)
    except (AttributeError, RuntimeError):  # httpx raises RuntimeError for a response without a request
        return ""


def _no_model(error: BaseException) -> str:
    named = next((link for link in chain(error) if hasattr(link, "model_name")), None)
    close = getattr(named, "suggested_model_id", None)
    hint = f" Did you mean {close!r}?" if close else ""
    return f"The provider has no model {getattr(named, 'model_name', '')!r}.{hint} Check DEFAULT_MODEL or the agent's model."
