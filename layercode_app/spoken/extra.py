"""Import an optional library, or raise an error that names the extra to install."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from ..exceptions import MissingExtraError


def need(module: str, library: str, extra: str, what: str) -> Any:
    """Import a module of an optional library. Raises MissingExtraError if the library is missing.

    The error's message begins with `what`, which names the feature that needs the library.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != module.partition(".")[0]:
            raise
        raise MissingExtraError(
            f"{what} needs the library {library}, which is not installed. "
            f'Install it with: pip install "layercode-app[{extra}]"'
        ) from None
