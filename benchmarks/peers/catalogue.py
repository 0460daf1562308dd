"""Describe the peers: what to install, the command that starts each, and facts for the table."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from .install import BUILD, Needs, Node, Python

APPS = Path(__file__).parent / "apps"
ROOT = Path(__file__).parent.parent.parent
MODEL = "openai-chat:gpt-test"
FAST = ["--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"]
Mode = Literal["echo", "model"]


@dataclass(frozen=True)
class Peer:
    """A backend to compare. `command(mode, port)` returns the command line that serves it.

    `loop`, `model` and `keeps` are texts for the table: its event loop and HTTP parser, its model client, and what it
    stores.
    """

    key: str
    title: str
    needs: Needs
    command: Callable[[Mode, int], list[str]]
    path: str
    loop: str
    model: str
    keeps: str
    """What the backend remembers and stores."""


def _bare(mode: Mode, port: int) -> list[str]:
    app = "benchmarks.peers.apps.bare:" + ("echo" if mode == "echo" else "with_agent")
    return [sys.executable, "-m", "uvicorn", app, "--factory", "--port", str(port), *FAST]


def _older(mode: Mode, port: int) -> list[str]:
    agent = "echo" if mode == "echo" else "starter"
    command = str(BUILD / "older/venv/bin/layercode-create-app")
    return [command, "run", "--agent", agent, "--model", MODEL, "--host", "127.0.0.1", "--port", str(port)]


def _fastapi(mode: Mode, port: int) -> list[str]:
    command = [str(BUILD / "fastapi/venv/bin/uvicorn"), "fastapi_guide:app", "--app-dir", str(APPS)]
    return [*command, "--port", str(port), *FAST]


def _hono(mode: Mode, port: int) -> list[str]:
    # Node searches for packages in the folder of the file that imports them.
    script = shutil.copy(APPS / "hono_guide.mjs", BUILD / "hono")
    return ["node", str(script)]


def _ours(mode: Mode, port: int) -> list[str]:
    agent = ["echo"] if mode == "echo" else ["benchmarks.peers.apps.brief:agent", "--model", MODEL]
    listen = ["--host", "127.0.0.1", "--port", str(port), "--store", "sqlite:///journal.sqlite3"]
    return [sys.executable, "-m", "layercode_app", "run", "--agent", *agent, *listen]


PEERS = (
    Peer(
        "bare", "bare ASGI", None, _bare, "/api/agent",
        "uvloop, httptools", "PydanticAI, `run_stream_events`", "nothing",
    ),
    Peer(
        "older", "layercode-create-app 0.2.0",
        Python(("layercode-create-app==0.2.0",), ("layercode-create-app", "fastapi", "pydantic-ai", "uvicorn"), (3, 12)),
        _older, "/api/agent",
        "asyncio (version 0.2.0 offers no other loop), httptools", "PydanticAI, `stream_text`, its starter agent",
        "nothing is stored; the command of version 0.2.0 turns on a text log and Logfire's console output",
    ),
    Peer(
        "fastapi", "FastAPI, as the guide shows",
        Python(("fastapi", "uvicorn[standard]", "openai"), ("fastapi", "uvicorn", "openai")),
        _fastapi, "/webhook", "uvloop, httptools", "the openai package", "history in a dictionary; no log",
    ),
    Peer(
        "hono", "Hono on Node with the SDK",
        Node({"hono": "4", "@hono/node-server": "2", "@layercode/node-server-sdk": "1", "ai": "6", "@ai-sdk/openai": "3"}),
        _hono, "/webhook", "Node's", "the AI SDK, `streamText`", "history in an object; no log",
    ),
    Peer(
        "ours", "layercode-app (this)", None, _ours, "/api/agent",
        "uvloop, httptools", "PydanticAI, the same agent as for bare ASGI", "journal in SQLite, JSON log, metrics",
    ),
)  # fmt: skip
