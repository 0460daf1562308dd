"""Check conformance: run `layercode-create-app check` on each peer. The peers run with a model."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence

from ..load import SECRET
from .install import NotRunError
from .process import running
from .results import Result

MEASURE = "check"
ANSWER_SECONDS = "5"
LIMIT_SECONDS = 240


def measure(results: Sequence[Result], *, model_url: str, core: int | None) -> None:
    """Check each peer once, because the result does not vary."""
    for result in results:
        try:
            with running(result.peer, "model", model_url, core) as server:
                _check(result, server.url)
        except NotRunError as error:
            result.fail(MEASURE, str(error))


def _check(result: Result, url: str) -> None:
    command = [sys.executable, "-m", "layercode_app", "check", url, "--secret", SECRET, "--json"]
    try:
        done = subprocess.run(
            [*command, "--timeout", ANSWER_SECONDS], capture_output=True, text=True, timeout=LIMIT_SECONDS
        )
        report = json.loads(done.stdout)
    except (subprocess.TimeoutExpired, ValueError) as error:
        result.fail(MEASURE, f"check did not end well: {str(error)[:200]}")
        return
    failed = {
        c["name"]: {"title": c["title"], "detail": c["detail"]} for c in report["checks"] if c["status"] == "failed"
    }
    skipped = [check["name"] for check in report["checks"] if check["status"] == "skipped"]
    result.checks = {"passed": report["passed"], "of": len(report["checks"]), "failed": failed, "skipped": skipped}
