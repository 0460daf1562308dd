"""Run a command so that the permissions of files apply to it, even if the tests run as root."""

from __future__ import annotations

import os
import shutil

import pytest

_IGNORING = "-dac_override,-dac_read_search"
OBEYING = [] if os.geteuid() else ["setpriv", "--bounding-set", _IGNORING, "--inh-caps", _IGNORING]
"""The first words of a command line. The command after them cannot read or write what a file's permissions forbid."""

needs_permissions = pytest.mark.skipif(
    bool(OBEYING) and shutil.which("setpriv") is None, reason="root ignores permissions, and setpriv is not installed"
)
