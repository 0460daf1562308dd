"""Run code that obeys the permissions of files, even if the tests run as root."""

from __future__ import annotations

import os
import shutil

import pytest

_IGNORING = "-dac_override,-dac_read_search"
OBEYING = [] if os.geteuid() else ["setpriv", "--bounding-set", _IGNORING, "--inh-caps", _IGNORING]
"""The start of a command that may not read or write what a file's permissions forbid."""

needs_permissions = pytest.mark.skipif(
    bool(OBEYING) and shutil.which("setpriv") is None, reason="root ignores permissions, and setpriv is not installed"
)
