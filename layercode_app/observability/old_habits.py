"""Recognise outdated code by the error that it raises, and suggest a replacement.

Such code follows older guides and uses functions that were removed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

PAGE = "See the page “Old habits” of the documentation."
HABITS: tuple[tuple[str, str, str], ...] = (
    ("AttributeError", r"'logfire' has no attribute '(metric|counter|gauge|histogram)'",
     'Logfire has no {0}(). Count with turn.count("orders"), or use logfire.metric_counter("orders").'),
    ("TypeError", r"configure\(\) got an unexpected keyword argument '(app_name|project_name|pydantic_plugin)'",
     "logfire.configure() takes no {0}. Remove the call: SERVICE_NAME and LOGFIRE_TOKEN configure Logfire."),
    ("TypeError", r"Logfire\.span\(\) takes 2 positional arguments",
     'Give attributes by name: logfire.span("look up", table="bookings"), or turn.span("look up", table="bookings").'),
    ("AttributeError", r"'sentry_sdk' has no attribute '(configure_scope|push_scope|Hub)'",
     "Sentry has no {0} any more. Write sentry_sdk.set_tag(...): each turn has its own scopes."),
    ("DeprecationWarning", r"sentry_sdk\.(configure_scope|push_scope) is deprecated",
     "Write sentry_sdk.set_tag(...) instead of {0}: each turn has its own scopes."),
    ("AttributeError", r"'(?:AgentRunResult|StreamedRunResult|FinalResult)' object has no attribute 'data'",
     "Write result.output instead of result.data."),
    ("AttributeError", r"'Agent' object has no attribute 'result_(validator|tool)'",
     "Write @agent.output_{0} instead of @agent.result_{0}."),
    ("TypeError", r"got an unexpected keyword argument 'result_type'", "Write output_type= instead of result_type=."),
    ("TypeError", r"got an unexpected keyword argument 'result_retries'", "Write retries= instead of result_retries=."),
    ("ModuleNotFoundError", r"No module named 'layercode_create_app",
     "Import from layercode_app: VoiceAgent replaces BaseLayercodeAgent and its handle_ methods."),
)  # fmt: skip
"""The type of an error, a pattern for its message, and the advice. The pattern's group replaces {0} in the advice."""


def instead_of(errors: Iterable[BaseException]) -> str:
    """Return advice on how to replace the outdated code that raised one of these errors; "" if none is known."""
    for error in errors:
        names = {base.__name__ for base in type(error).__mro__}
        for kind, pattern, advice in HABITS:
            if kind in names and (found := re.search(pattern, str(error))):
                return f"{advice.format(*found.groups())} {PAGE}"
    return ""
