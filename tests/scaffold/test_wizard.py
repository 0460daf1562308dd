"""The wizard on a real terminal."""

from __future__ import annotations

import os
import pty
import select
from pathlib import Path

from .. import forked
from .making import ALONE, ROOT, tree


def converse(cwd: Path, arguments: list[str], answers: list[str], *, command: str = "new") -> tuple[int, str]:
    """Run a command on a terminal of its own and type the answers, each after a question."""
    ours, theirs = pty.openpty()
    whole = ["-m", "layercode_app", command, *arguments]
    env = os.environ | {"PYTHONPATH": str(ROOT), "TERM": "dumb"}
    process = forked.start(whole, cwd=cwd, env=env, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown, waiting = "", list(answers)
    while select.select([ours], [], [], 60)[0]:
        try:
            piece = os.read(ours, 4096).decode()
        except OSError:  # the other side has closed
            break
        shown += piece
        if waiting and shown.rstrip(" ").endswith(":") and not shown.endswith("\n"):
            os.write(ours, f"{waiting.pop(0)}\n".encode())
            shown += "\n"
    os.close(ours)
    return process.wait(timeout=100), shown


def test_it_asks_for_what_was_not_given_and_again_for_what_cannot_be(tmp_path: Path) -> None:
    code, shown = converse(tmp_path, [*ALONE], ["class", "my-shop", "bakerry", "bakery", "", "web,redis"])
    assert code == 0, shown
    assert "keyword" in shown
    assert "Did you mean 'bakery'?" in shown
    assert {"agents/my_shop.py", "web/widget.js"} <= tree(tmp_path / "my-shop")


def test_it_does_not_ask_for_what_was_given(tmp_path: Path) -> None:
    given = ["my-shop", "--agent", "echo", "--model", "offline", "--with", "web"]
    code, shown = converse(tmp_path, [*ALONE, *given], [])
    assert code == 0, shown
    assert "Name" not in shown
    assert "web/index.html" in tree(tmp_path / "my-shop")
