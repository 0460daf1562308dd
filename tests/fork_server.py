"""Fork Python commands from a process that has imported everything, so that no test waits for an import.

`tests/forked.py` starts this file as a script and sends one JSON request per command over a socket, with the command's
standard streams and a status socket attached. The status socket receives the process id, then the exit code.
"""

from __future__ import annotations

import atexit
import fcntl
import gc
import importlib
import inspect
import json
import os
import pkgutil
import runpy
import selectors
import signal
import socket
import sys
import termios
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

REQUEST_BYTES = 1_000_000
LIBRARIES = (
    "pydantic_ai", "pydantic_ai.models.function", "pydantic_ai.models.openai", "logfire", "sentry_sdk", "uvicorn",
    "uvicorn.protocols.http.httptools_impl", "uvicorn.lifespan.on", "uvicorn.loops.auto", "starlette.applications",
    "httpx", "typer", "rich.console", "rich.table", "rich.progress", "jinja2", "limits", "orjson", "redis.asyncio",
    "genai_prices", "websockets", "opentelemetry.exporter.otlp.proto.http.trace_exporter", "watchfiles",
)  # fmt: skip
NOT_OURS = {"layercode_app.__main__", "layercode_app.testing.plugin"}
"""Modules that must not be imported here: one runs the program on import, and pytest must import the other itself."""


def main(descriptor: int, measured: bool) -> dict[str, Any] | None:
    """Serve requests until the client is gone, and fork a child for each.

    In a child, return the request that the child must run. With `measured`, also import coverage, so that a child can
    start it without a delay.
    """
    import_everything()
    if measured:
        importlib.import_module("coverage")
        # Coverage calls `inspect.stack` when it starts. The first call in a process takes 0.2 s, because it resolves
        # the path of every module.
        inspect.stack()
    gc.collect()
    gc.freeze()
    control = socket.socket(fileno=descriptor)
    selector = selectors.DefaultSelector()
    selector.register(control, selectors.EVENT_READ)
    control.sendall(b"ready")
    while True:
        for key, _ in selector.select():
            if key.fileobj is not control:
                reap(selector, key)
            elif (request := receive(control)) is None:
                os._exit(0)
            elif fork(selector, request):
                return request


def import_everything() -> None:
    """Import the libraries and every module of the package, none of which may start a thread or read settings."""
    import layercode_app

    # The command line sets this variable too, before its first import.
    os.environ["PYDANTIC_DISABLE_PLUGINS"] = "logfire-plugin"
    for name in LIBRARIES:
        with suppress(ImportError):
            importlib.import_module(name)
    for module in pkgutil.walk_packages(layercode_app.__path__, "layercode_app."):
        if module.name not in NOT_OURS and ".templates" not in module.name:
            with suppress(ImportError):
                importlib.import_module(module.name)
    # On import, prometheus_client chooses by the environment between metrics of one process and metrics of many.
    if "prometheus_client" in sys.modules:
        raise AssertionError("prometheus_client was imported, so that no forked server could share its figures")
    if threading.active_count() > 1:
        raise AssertionError(f"an import started a thread, which no fork keeps: {threading.enumerate()}")


def receive(control: socket.socket) -> dict[str, Any] | None:
    """Read one request; None when the client is gone."""
    data, descriptors, _, _ = socket.recv_fds(control, REQUEST_BYTES, 4)
    if not data:
        return None
    request: dict[str, Any] = json.loads(data)
    return request | {"streams": descriptors[:3], "status": descriptors[3]}


def fork(selector: selectors.BaseSelector, request: dict[str, Any]) -> bool:
    """Fork a child for a request. Return true in the child."""
    pid = os.fork()
    if pid == 0:
        selector.close()
        return True
    for descriptor in request["streams"]:
        os.close(descriptor)
    os.write(request["status"], b"%d\n" % pid)
    selector.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, request["status"]))
    return False


def reap(selector: selectors.BaseSelector, key: selectors.SelectorKey) -> None:
    """Tell the client the exit code of a child. As in `subprocess`, the code is negative for a signal."""
    pid, status = key.data
    selector.unregister(key.fileobj)
    os.close(key.fd)
    _, waited = os.waitpid(pid, 0)
    with suppress(OSError):
        os.write(status, b"%d\n" % os.waitstatus_to_exitcode(waited))
    os.close(status)


def become(request: dict[str, Any]) -> None:
    """Turn this child into the process that the request describes."""
    if request["new_session"]:
        os.setsid()
    for target, source in enumerate(request["streams"]):
        os.dup2(source, target)
        os.close(source)
    os.close(request["status"])
    if request["new_session"] and os.isatty(0):
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # so that Ctrl-C there is a signal here
    open_streams()
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    folders = [folder for folder in os.environ.get("PYTHONPATH", "").split(os.pathsep) if folder]
    sys.path[0:0] = [request["cwd"], *folders]
    importlib.invalidate_caches()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if "COVERAGE_PROCESS_START" in os.environ:
        import coverage

        coverage.process_startup()


def open_streams() -> None:
    """Open the standard streams again.

    The stream objects of the server remember whether the server's files can seek and whether they are terminals. The
    files of this child may differ.
    """
    # The files are not closed with the stream objects: they stay open for as long as the process lives.
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(  # noqa: SIM115
        2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False
    )


def execute(arguments: list[str]) -> None:
    """Run `-m MODULE …`, `-c CODE …` or `FILE …` as the interpreter would."""
    if arguments[0] == "-m":
        sys.argv = [arguments[1], *arguments[2:]]
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    elif arguments[0] == "-c":
        sys.argv = ["-c", *arguments[2:]]
        exec(compile(arguments[1], "<string>", "exec"), {"__name__": "__main__"})
    else:
        sys.argv = arguments
        sys.path[0] = str(Path(arguments[0]).resolve().parent)
        runpy.run_path(arguments[0], run_name="__main__")


def exit_code(arguments: list[str]) -> int:
    """Run a command to its end, as the interpreter would, and return its exit code.

    An uncaught exception is printed, and the exit code is then 1.
    """
    try:
        execute(arguments)
    except SystemExit as error:
        if error.code is None or isinstance(error.code, int):
            return error.code or 0
        sys.stderr.write(f"{error.code}\n")
        return 1
    except KeyboardInterrupt:
        sys.excepthook(*sys.exc_info())
        return -signal.SIGINT
    except BaseException:  # noqa: BLE001 - as the interpreter does at the top of a program
        sys.excepthook(*sys.exc_info())
        return 1
    return 0


def leave(code: int) -> None:
    """End the process without the interpreter's teardown, which would copy every page shared with the server."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


ending: list[int] = []

if __name__ == "__main__":
    # Register this handler before any import registers another one, so that it runs last.
    atexit.register(lambda: leave(*ending))
    asked = main(int(sys.argv[1]), measured=sys.argv[2] == "measured")
    assert asked is not None
    become(asked)
    ending.append(exit_code(asked["arguments"]))
