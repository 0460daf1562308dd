"""Import agent files even if the API key of a model that they name is missing.

`Agent("openai:gpt-5-mini")` creates its model at once and fails without a key. An import is too early for this error:
whether the agent answers offline or is refused is decided only later. So while agent files are imported, a stand-in
replaces each model whose key is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any

from pydantic_ai import models
from pydantic_ai.models.wrapper import WrapperModel

from .models import missing_variables, refuse_empty_key
from .offline import offline_model

_deferred: ContextVar[dict[str, None] | None] = ContextVar("layercode_deferred_models", default=None)
"""A dictionary whose keys are the names of the replaced models. Set only while agent files are imported."""


class DeferredModel(WrapperModel):
    """Replaces a model whose key was missing when its agent was created, and answers offline.

    `asked` is the name of the replaced model.
    """

    def __init__(self, asked: str) -> None:
        super().__init__(offline_model(None))
        self.asked = asked


@contextmanager
def models_deferred() -> Iterator[dict[str, None]]:
    """Within the block, make `pydantic_ai.models.infer_model` return a DeferredModel if a model's API key is missing.

    Yields a dictionary. Its keys are the names of the models that were replaced so far.
    """
    _install()
    names: dict[str, None] = {}
    token = _deferred.set(names)
    try:
        yield names
    finally:
        _deferred.reset(token)


def _install() -> None:
    """Wrap `infer_model` once. Outside the `models_deferred` block, the wrapper changes nothing."""
    real: Callable[..., models.Model] = models.infer_model
    if hasattr(real, "__wrapped__"):
        return

    @wraps(real)
    def infer_model(model: Any, *args: Any, **kwargs: Any) -> models.Model:
        try:
            if _deferred.get() is not None and not args and not kwargs:
                refuse_empty_key(model)
            return real(model, *args, **kwargs)
        except Exception as error:
            names = _deferred.get()
            if names is None or not missing_variables(error):
                raise
            names[str(model)] = None
            return DeferredModel(str(model))

    models.infer_model = infer_model
