"""Set up a sink such as Sentry. If its library is incompatible, log a warning and start without the sink."""

from __future__ import annotations

from collections.abc import Callable

from loguru import logger

from ..exceptions import ConfigurationError
from .privacy import masking


def attempt(sink: str, set_up: Callable[[], object]) -> bool:
    """Set up a sink. Log a warning and return False if that fails. Raises ConfigurationError for a wrong setting."""
    try:
        set_up()
    except ConfigurationError:
        raise
    except Exception as error:  # noqa: BLE001 - no error of a library may end a call
        reason = f"{type(error).__name__}: {masking.clean(str(error))}"
        logger.warning("{} cannot be set up: {}. Calls continue without it. {}", sink, reason, _ADVICE)
        return False
    return True


_ADVICE = "Install the library versions that layercode-app requires, or remove the sink's setting."
