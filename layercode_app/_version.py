"""The version of this distribution, which the build reads, and a check for its older, conflicting predecessor."""

from __future__ import annotations

__version__ = "0.3.0"

OLDER = "layercode-create-app"
"""The predecessor of this distribution, up to version 0.2.0. Both install the command `layercode-create-app`."""


def older_distribution() -> str:
    """Return the version of the older distribution, or "" if it is not installed."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(OLDER)
    except PackageNotFoundError:
        return ""


def shadow_of(older: str) -> str:
    """Return a warning that the older distribution, in the version `older`, is installed together with this one."""
    return (
        f"the package {OLDER} {older}, the predecessor of layercode-app, is installed too; the command `{OLDER}` runs "
        "the package that was installed last"
    )


UNSHADOW = (
    f"Use the command `layercode-app`, or run `pip uninstall {OLDER}` and install layercode-app again with "
    "--force-reinstall."
)
