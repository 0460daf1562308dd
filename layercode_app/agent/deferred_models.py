"""Let an agent file be imported without the key of a model that it names.

`Agent("openai:gpt-5-mini")` creates its model at once, and fails without a key, before anything can decide to answer
offline or to refuse. While agent files are imported, such a model is replaced by a stand-in with the same name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any

from pydantic_ai import models
from pydantic_ai.models.wrapper import WrapperModel

from .models import missing_variables
from .offline import offline_model

_deferred: ContextVar[dict[str, None] | None] = ContextVar("layercode_deferred_models", default=None)
"""The names of the models that were replaced, while agent files are imported."""


class DeferredModel(WrapperModel):
    """Stands in for a model whose key was missing when its agent was made; answers offline. `asked` is its name."""

    def __init__(self, asked: str) -> None:
        super().__init__(offline_model(None))
        self.asked = asked


@contextmanager
def models_deferred() -> Iterator[dict[str, None]]:
    """Within the block, `pydantic_ai.models.infer_model` returns a DeferredModel for a model without a key.

    Yields the names of these models, as keys.
    """
    _install()
    names: dict[str, None] = {}
    token = _deferred.set(names)
    try:
        yield names
    finally:
        _deferred.reset(token)


def _install() -> None:
    """Wrap `infer_model` once. Modules that import it by name keep the wrapper, which does nothing outside the block."""
    real: Callable[..., models.Model] = models.infer_model
    if hasattr(real, "__wrapped__"):
        return

    @wraps(real)
    def infer_model(model: Any, *args: Any, **kwargs: Any) -> models.Model:
        try:
            return real(model, *args, **kwargs)
        except Exception as error:
            names = _deferred.get()
            if names is None or not missing_variables(error):
                raise
            names[str(model)] = None
            return DeferredModel(str(model))

    models.infer_model = infer_model
