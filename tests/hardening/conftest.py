"""What the tests of this folder share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from loguru import logger


@pytest.fixture
def errors() -> Iterator[list[str]]:
    """What was logged as an error."""
    logged: list[str] = []
    sink = logger.add(lambda message: logged.append(str(message)), level="ERROR")
    yield logged
    logger.remove(sink)
