"""Decide whether a project contains the wheel of this package, or installs it from a package index."""

from __future__ import annotations

from dataclasses import dataclass

from .._version import __version__
from ..exceptions import ConfigurationError
from .package_index import ask
from .source import NAME, local_source
from .vendored_wheel import FOLDER, Wheel, build

_COMMIT = "Commit it, so that the project can be installed on other machines too."


@dataclass(frozen=True)
class Vendoring:
    """The source from which a project installs this package.

    `wheel` is put into the project and installed from there. If `wheel` is None, the project installs the package from
    a package index or a local path.
    `why` explains the choice, and may be empty.
    """

    wheel: Wheel | None
    why: str = ""


def choose(vendor: bool | None) -> Vendoring:
    """Decide whether the project contains the wheel: yes if `vendor` is true (`--vendor`), no if it is false.

    If `vendor` is None, the project contains the wheel only if the package index does not have this version and the
    wheel can be built. Raises ConfigurationError if `vendor` is true and the wheel cannot be built.
    """
    if vendor is None:
        return _by_index()
    if vendor:
        return Vendoring(build(), f"{FOLDER}/ contains the wheel of {NAME} {__version__}. {_COMMIT}")
    return Vendoring(None, _only_here())


def _by_index() -> Vendoring:
    answer = ask(__version__)
    if answer.has:
        return Vendoring(None)
    reason = f"The package index of this machine does not have {NAME} {__version__}"
    if answer.why:
        reason = f"The package index of this machine could not be asked for {NAME} {__version__} ({answer.why})"
    try:
        return Vendoring(build(), f"{reason}, so {FOLDER}/ contains its wheel. {_COMMIT}")
    except ConfigurationError as error:
        return Vendoring(None, f"{reason}, and its wheel cannot be built: {error} {_only_here()}".rstrip())


def _only_here() -> str:
    path = local_source()
    return f"The project installs {NAME} from {path}, so it can be installed only on this machine." if path else ""
