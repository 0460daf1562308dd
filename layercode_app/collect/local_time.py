"""The default clock of the collectors for dates and times."""

from __future__ import annotations

import time
from datetime import datetime


def local_time() -> datetime:
    """Return the server's local time, from `time.time()`, so that the test kit's fixture `clock` can freeze it."""
    return datetime.fromtimestamp(time.time())
