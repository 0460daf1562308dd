"""Build the wheel of this package from its installed files, so that a project can contain the wheel.

Nothing is downloaded and no build tool is needed. The same files always make the same wheel.
"""

from __future__ import annotations

import base64
import hashlib
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from io import BytesIO
from pathlib import Path, PurePosixPath
from zipfile import ZIP_DEFLATED, BadZipFile, ZipFile, ZipInfo

from .._version import __version__
from ..exceptions import ConfigurationError
from .source import NAME

FOLDER = "vendor"
"""The project's folder for the wheel."""
PATTERN = "layercode_app-*.whl"
_PACKAGE = Path(__file__).parent.parent
_INFO = f"layercode_app-{__version__}.dist-info"
_WHEEL = "Wheel-Version: 1.0\nGenerator: layercode-app\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
# The oldest date that every tool accepts; hatchling uses it too.
_DATE = (2020, 2, 2, 0, 0, 0)


@dataclass(frozen=True)
class Wheel:
    """A wheel: its file name and its content."""

    name: str
    content: bytes

    @property
    def path(self) -> PurePosixPath:
        """The wheel's path in a project."""
        return PurePosixPath(FOLDER, self.name)


def build() -> Wheel:
    """Return the wheel of the running package. Raises ConfigurationError, with the fix, if it cannot be built."""
    dist = _distribution()
    files = {**_package_files(dist), **_metadata_files(dist)}
    return Wheel(f"layercode_app-{__version__}-py3-none-any.whl", _zipped(files))


def same(path: Path, wheel: Wheel) -> bool:
    """Return whether the file `path` is the same wheel as `wheel`: both list the same files with the same digests.

    The compression may differ. Return False if the file cannot be read or is not a wheel.
    """
    try:
        with ZipFile(path) as there, ZipFile(BytesIO(wheel.content)) as ours:
            return there.read(f"{_INFO}/RECORD") == ours.read(f"{_INFO}/RECORD")
    except (OSError, KeyError, BadZipFile):
        return False


def _distribution() -> Distribution:
    try:
        dist = distribution(NAME)
    except PackageNotFoundError:
        raise ConfigurationError(
            f"{NAME} is not installed: it runs from {_PACKAGE}. Install it there with `pip install --editable .`"
        ) from None
    if dist.version != __version__:
        raise ConfigurationError(
            f"The code of {NAME} has version {__version__}, but the installed metadata is of version {dist.version}. "
            f"So the list of requirements is out of date. Install {NAME} again."
        )
    return dist


def _package_files(dist: Distribution) -> dict[str, bytes]:
    """Return the files of the package and of the shipped agents, by path, from the installation or from the checkout."""
    listed = {str(path): Path(str(dist.locate_file(path))) for path in dist.files or () if _is_code(path)}
    here = listed.get(f"{_PACKAGE.name}/__init__.py")
    if here is None or here.resolve() != _PACKAGE.resolve() / "__init__.py":
        listed = dict(_checkout_files(_PACKAGE.parent))
    try:
        return {name: path.read_bytes() for name, path in listed.items()}
    except OSError as error:
        raise ConfigurationError(f"{error.filename} cannot be read: {error.strerror}. Install {NAME} again.") from error


def _is_code(path: PurePosixPath) -> bool:
    return path.parts[0] == _PACKAGE.name and "__pycache__" not in path.parts


def _checkout_files(root: Path) -> Iterator[tuple[str, Path]]:
    """For each file of a checkout that belongs in the wheel, yield its name in the wheel and its path.

    The wheel contains the files of the package, and the other files and folders that pyproject.toml adds to it.
    """
    try:
        build = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]
    except (OSError, KeyError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(
            f"{_PACKAGE} is a copy of {NAME} that is neither installed nor in a checkout. Remove or install the copy."
        ) from error
    targets = build["targets"]["wheel"]
    for source, name in {_PACKAGE.name: _PACKAGE.name, **targets.get("force-include", {})}.items():
        whole = root / source
        for path in [whole] if whole.is_file() else sorted(whole.rglob("*")):
            inside = path.relative_to(whole)
            if path.is_file() and "__pycache__" not in inside.parts:
                yield PurePosixPath(name, *inside.parts).as_posix(), path


def _metadata_files(dist: Distribution) -> dict[str, bytes]:
    """Return the wheel's metadata files. Files that describe one installation, such as INSTALLER, are left out."""
    listed = {str(PurePosixPath(*path.parts[1:])): path for path in dist.files or () if path.parts[0] == _INFO}
    wanted = [name for name in listed if name in ("METADATA", "entry_points.txt") or name.startswith("licenses/")]
    files = {f"{_INFO}/{name}": Path(str(dist.locate_file(listed[name]))).read_bytes() for name in wanted}
    return {**files, f"{_INFO}/WHEEL": _WHEEL.encode()}


def _zipped(files: Mapping[str, bytes]) -> bytes:
    """Return a zip file of these files, with a RECORD of them as the last file."""
    record = f"{_INFO}/RECORD"
    lines = "".join(f"{name},sha256={_digest(content)},{len(content)}\n" for name, content in sorted(files.items()))
    out = BytesIO()
    with ZipFile(out, "w", ZIP_DEFLATED) as archive:
        for name, content in [*sorted(files.items()), (record, f"{lines}{record},,\n".encode())]:
            entry = ZipInfo(name, _DATE)
            entry.compress_type, entry.external_attr = ZIP_DEFLATED, 0o100644 << 16
            archive.writestr(entry, content)
    return out.getvalue()


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
