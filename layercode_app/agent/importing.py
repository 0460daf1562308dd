"""Import a module by its name. The error for a missing module differs from the error for a module that fails."""

from __future__ import annotations

import importlib
import signal
import traceback
from types import ModuleType

from ..exceptions import AgentImportError, AgentNotFoundError, MissingExtraError
from ..observability.old_habits import instead_of
from ..observability.privacy.masking import is_library

_MACHINERY = ("<frozen importlib", importlib.__file__, __file__)
"""Path prefixes of the code that imports a module. Tracebacks omit its frames: the module's author did not write it."""


def import_module(name: str, *, asked: str, what: str = "Agent") -> ModuleType:
    """Import a module. `asked` and `what` are only for error messages.

    `asked` is the address that the user typed. `what` is the kind of object at this address.

    Raises AgentNotFoundError if the module does not exist, and AgentImportError with the module's traceback if it
    fails.
    """
    from .deferred_models import models_deferred

    try:
        with models_deferred():
            return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise _failed(name, f"{what} {asked!r}", error) from error
        raise AgentNotFoundError(
            f"{what} {asked!r}: there is no module {error.name!r} here. Run this in the folder of your project, or install "
            "your package into this environment."
        ) from error
    except BaseException as error:
        if is_ctrl_c(error):
            raise
        raise _failed(name, f"{what} {asked!r}", error) from error


def is_ctrl_c(error: BaseException) -> bool:
    """Return whether this exception of an import may be the user's Ctrl-C, which must end the process.

    All other exceptions are the module's own, such as the SystemExit of `sys.exit()`. A KeyboardInterrupt can be the
    user's Ctrl-C only if Python's default handler is in place, which raises it at once. A running server has another
    handler, so there a KeyboardInterrupt is the module's own, too.
    """
    default = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    return isinstance(error, KeyboardInterrupt) and default


def _failed(name: str, asked: str, error: BaseException) -> AgentImportError:
    return import_error(f"{asked}: the module {name!r}", error, traceback=traceback_of_module(error))


def import_error(what: str, error: BaseException, *, traceback: str) -> AgentImportError:
    """Return the error for a file or module that failed to import. For outdated code, the error says how to fix it.

    The error for a missing optional dependency has no traceback, because its message says everything.
    """
    if isinstance(error, MissingExtraError):
        return AgentImportError(f"{what} failed to import: {error}")
    message = f"{what} failed to import: {type(error).__name__}: {error}"
    return AgentImportError(message, traceback=traceback, advice=instead_of([error]))


def traceback_of_module(error: BaseException) -> str:
    """Return the traceback without the frames of the import machinery.

    Import hooks of libraries, such as beartype's, add frames too. So the traceback starts at the first frame that is
    not in a library.
    """
    frames = [one for one in traceback.extract_tb(error.__traceback__) if not one.filename.startswith(_MACHINERY)]
    own = next((number for number, one in enumerate(frames) if not is_library(one.filename)), len(frames))
    frames = frames[own:]
    head = ["Traceback (most recent call last):\n"] if frames else []
    return "".join([*head, *traceback.format_list(frames), *traceback.format_exception_only(error)])
