"""Run a command line in this process, on streams as strict as real ones, and assert that its output is harmless.

Harmless output contains no raw control characters and no forged lines.
"""

from __future__ import annotations

import io
import sys
from dataclasses import dataclass

import pytest

from layercode_app.cli.main import main

from ..hostile import assert_harmless

COLUMNS = 80


class Stream(io.TextIOWrapper):
    """A fake terminal or pipe. Like a real one, it refuses characters that its encoding does not have."""

    def __init__(self, *, terminal: bool = False, encoding: str = "utf-8") -> None:
        super().__init__(io.BytesIO(), encoding=encoding, newline="\n", write_through=True)
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal

    @property
    def text(self) -> str:
        self.flush()
        assert isinstance(self.buffer, io.BytesIO)
        return self.buffer.getvalue().decode(self.encoding)


@dataclass
class Command:
    """Runs commands in the project, in this process."""

    monkeypatch: pytest.MonkeyPatch

    def run(self, *words: str, code: int | None = 0, terminal: bool = False, encoding: str = "utf-8") -> str:
        out, err = Stream(terminal=terminal, encoding=encoding), Stream(terminal=terminal, encoding=encoding)
        with self.monkeypatch.context() as patch:
            patch.setattr(sys, "argv", ["layercode-create-app", *words])
            patch.setattr(sys, "stdout", out)
            patch.setattr(sys, "stderr", err)
            patch.setattr("layercode_app.cli.main.collect_rarely", lambda: None)
            with pytest.raises(SystemExit) as ended:
                main()
        # Log lines may hold the traceback of an agent that failed.
        assert words[0] == "logs" or "Traceback (most" not in out.text + err.text, err.text
        if code is not None:
            assert (ended.value.code or 0) == code, out.text + err.text
        for printed in (out.text, err.text):
            assert_harmless(printed, columns=COLUMNS if terminal else None, table=words[0] == "report")
        return out.text
