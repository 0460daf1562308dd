"""Measure the start-up: from the start of the process to its first answer with HTTP 200 to a signed turn."""

from __future__ import annotations

from collections.abc import Sequence

from .install import NotRunError
from .process import running
from .results import Result

MEASURE = "startup"


def measure(results: Sequence[Result], *, rounds: int, model_url: str, core: int | None) -> None:
    """Measure round by round. A first start, which is not counted, fills the file cache."""
    for number in range(rounds + 1):
        for result in results:
            try:
                with running(result.peer, "echo", model_url, core) as server:
                    if number:
                        result.add(MEASURE, {"seconds": server.started})
            except NotRunError as error:
                result.fail(MEASURE, str(error))
