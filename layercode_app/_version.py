"""The version of this distribution, read by the build, and of the older one that may stand in its way."""

from __future__ import annotations

__version__ = "0.3.0"

OLDER = "layercode-create-app"
"""The distribution before this one, up to 0.2.0; its command has the same name as ours."""


def older_distribution() -> str:
    """The version of the older distribution where it is installed beside this one, else ""."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(OLDER)
    except PackageNotFoundError:
        return ""


def shadow_of(older: str) -> str:
    """What it means that it is installed."""
    return (
        f"the older {OLDER} {older} is installed beside layercode-app, and the command `{OLDER}` is of whichever was "
        "installed last"
    )


UNSHADOW = f"Use `layercode-app`, or `pip uninstall {OLDER}` and install layercode-app again (--force-reinstall)."
