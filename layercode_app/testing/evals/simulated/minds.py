"""Create the mind of a simulated caller, which is the part that chooses the words: a script or a model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ....agent.models import named_model
from ....exceptions import ConfigurationError
from ..scenario import ScenarioFile
from .caller_spec import CallerSpec
from .mind import Mind
from .persona import Persona
from .script import scripted_mind


def mind_of(file: ScenarioFile, model: Any) -> Callable[[CallerSpec], Mind]:
    """Return a function that creates a caller's mind: the caller's script or, without a script, the model.

    Raises ConfigurationError if a caller has no script and `model` is None.
    """
    for scenario in file.scenarios:
        if scenario.caller is not None and scenario.caller.script is None and model is None:
            raise ConfigurationError(
                f"scenario {scenario.name!r}: its caller has a goal and no `script`. Use --caller-model to name the "
                "model that plays the caller, or give the caller a `script`."
            )

    known = named_model(model, "--caller-model", offline=False) if isinstance(model, str) else model

    def make(spec: CallerSpec) -> Mind:
        return Persona(spec, known) if spec.script is None else scripted_mind(spec)

    return make
