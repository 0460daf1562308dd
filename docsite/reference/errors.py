"""Write the page of errors from the error classes, the error categories, and the fixes for both."""

from __future__ import annotations

from layercode_app import exceptions
from layercode_app.cli.main import exit_code
from layercode_app.exceptions import LayerCodeError, PlatformError
from layercode_app.observability.errors import CATEGORIES, RULES
from layercode_app.observability.fixes import FIX_BY_CATEGORY, FIX_BY_KIND

from ..markdown import block, code, escaped, table

INTRODUCTION = """# Errors and their fixes

Each error names the value that is wrong, what was expected, and the fix. This page lists the errors by their class, then the
categories of failed turns. For one conversation, `layercode-create-app sessions explain CONVERSATION` shows what went
wrong and what to do. For an installation, `layercode-create-app doctor` shows the same.
"""
MEANINGS = {
    "rate_limit": "The provider limits your requests, or its credit is used up.",
    "authentication": "The provider refused the key, or a signature is wrong.",
    "timeout": "The turn, a tool, a hook or the model took too long.",
    "content_filter": "The provider's content filter ended the answer or refused the request.",
    "length": "The answer reached the token limit.",
    "bad_request": "The provider refused the request: HTTP 400, 404 or 422.",
    "bad_response": "The provider's answer could not be read.",
    "network": "The provider could not be reached.",
    "store": "The journal could not be read or written.",
    "overload": "The server already runs `LAYERCODE_MAX_TURNS` turns, or is shutting down.",
    "budget": "A budget or a usage limit is used up.",
    "parsing": "The model's output did not match its type, even after retries.",
    "tool": "A tool failed.",
    "internal": "Any other error, such as a bug in a hook or a tool.",
}
FIXES = {
    "authentication": "Put the provider's right key into `.env`; the error names the variable.",
    "overload": "Raise `LAYERCODE_MAX_TURNS`, or start more workers.",
    "budget": "Raise the budget in `layercode.toml`, or the agent's usage limit.",
    "parsing": "Read the rejected output on the dev page; simplify the output type, or choose a stronger model.",
    "tool": "`sessions explain` names the tool; the traceback is in the log and in Sentry.",
    "internal": "The dev page shows the file and the line; the traceback is in the log and in Sentry.",
}
"""General fixes for categories whose exact fix depends on the error."""
IMPACTS = {
    "nothing": "All was well, or nothing could be said to the caller.",
    "filler": "A filler covered a silence.",
    "apology": "An apology was spoken.",
    "cut": "The provider cut the answer off. After a cut in mid-sentence, `LAYERCODE_CUT_ANSWER` was spoken.",
    "refusal": "A budget was used up, a guard objected, or a tool was deferred; the refusal was spoken.",
    "busy": "`LAYERCODE_BUSY` was spoken, and no agent ran.",
    "goodbye": "The server shut down, and `LAYERCODE_GOODBYE` was spoken.",
}


def page() -> str:
    """Return the page: tables of the error classes, the categories of failed turns, and the values of `impact`."""
    return "\n".join(
        [
            INTRODUCTION,
            "## Classes\n",
            block((exceptions.__doc__ or "").partition("\n\n")[2], "text"),
            (
                "A command that ends with one of these errors prints the error's message and exits with this code.\n"
                "With `--verbose`, the command also prints the traceback. A request that is refused with one of these\n"
                "errors is answered with its HTTP status.\n"
            ),
            table(("error", "meaning", "HTTP status", "exit code"), map(_row, classes())),
            "## Categories of failed turns\n",
            "Log lines, spans, metrics, Sentry and the journal use these categories.\n",
            table(("category", "meaning", "fix"), ((code(one), MEANINGS[one], _fix(one)) for one in CATEGORIES)),
            "Some errors have a more precise fix:\n",
            table(("error", "fix"), ((code(kind), escaped(fix)) for kind, fix in FIX_BY_KIND.items())),
            "These classes, and their subclasses, belong to the categories:\n",
            table(("category", "classes"), ((code(one), ", ".join(map(code, names))) for one, names in RULES)),
            "## Impact\n",
            "The field `impact` says what the caller got instead of the answer:\n",
            table(("impact", "meaning"), ((code(name), text) for name, text in IMPACTS.items())),
        ]
    )


def classes() -> list[type[LayerCodeError]]:
    """Return every error class of `layercode_app.exceptions`."""
    found = [one for one in vars(exceptions).values() if isinstance(one, type) and issubclass(one, LayerCodeError)]
    return sorted(found, key=lambda one: one.__name__)


def _row(found: type[LayerCodeError]) -> tuple[str, ...]:
    status = code(found.status) if issubclass(found, PlatformError) else ""
    text = " ".join((found.__doc__ or "").split())
    # The exit code depends only on the class, so this instance is made without calling its constructor.
    return code(found.__name__), escaped(text), status, code(exit_code(found.__new__(found)))


def _fix(category: str) -> str:
    return escaped(FIX_BY_CATEGORY.get(category, FIXES.get(category, "")))
