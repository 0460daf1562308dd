"""Read a YAML file. Errors name the line. Duplicate keys and other mistakes that PyYAML accepts are errors too."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...exceptions import ConfigurationError

BINARY, MERGE = "tag:yaml.org,2002:binary", "tag:yaml.org,2002:merge"


def read_yaml(path: Path) -> Any:
    """Return the content of a YAML file of UTF-8 text. Raises ConfigurationError with the file, and the line if known.

    A key that appears twice in a mapping is an error, because YAML keeps only its last value. `!!binary` and an anchor
    that contains itself are errors too, because JSON has neither.
    """
    yaml = import_yaml()
    try:
        return _content(yaml, path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}; expected a YAML file.") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path} is not UTF-8: {error}. Save the file as UTF-8.") from error
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{path} is not YAML: {error}") from error
    except RecursionError as error:
        raise ConfigurationError(f"{path} is nested too deeply; expected a few levels.") from error


def line_of(path: Path, place: Sequence[object]) -> int:
    """Return the line of a value in a YAML file that `read_yaml` has read. `place` lists its keys and indices.

    If the value is not found, for example because its key is missing, return the line of the mapping or list around it.
    """
    yaml = import_yaml()
    node = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    mark = node.start_mark if node is not None else None
    for part in place:
        if isinstance(node, yaml.MappingNode):
            found = [(key, value) for key, value in node.value if getattr(key, "value", None) == str(part)]
            if found:
                mark, node = found[0][0].start_mark, found[0][1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            node = node.value[part]
            mark = node.start_mark
    return 1 if mark is None else mark.line + 1


def import_yaml() -> Any:
    """Return PyYAML, an optional dependency. Raises ConfigurationError with the install command if it is missing."""
    try:
        import yaml
    except ModuleNotFoundError:
        raise ConfigurationError("Scenario files need PyYAML: pip install 'layercode-app[evals]'") from None
    return yaml


def _content(yaml: Any, text: str) -> Any:
    loader = _loader(yaml)(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _check(yaml, node, inside=[], checked=set())
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _loader(yaml: Any) -> Any:
    """Return PyYAML's safe loader, changed so that the error for an invalid value names the line of the value.

    For example, PyYAML takes the value 2026-99-99 for a date, but this date does not exist.
    """

    class Loader(yaml.SafeLoader):  # type: ignore[misc]
        def construct_object(self, node: Any, deep: bool = False) -> Any:
            try:
                return super().construct_object(node, deep)
            except (ValueError, LookupError, AttributeError, TypeError) as error:
                # PyYAML takes 2026-99-99 for a date. The error of Python's `date` does not name the line of the file.
                kind = node.tag.rpartition(":")[2]
                raise _error(yaml, node, f"{node.value!r} is not a valid {kind}; put text in quotes") from error

    return Loader


def _check(yaml: Any, node: Any, inside: list[Any], checked: set[int]) -> None:
    """Raise an error if the node, or any node within it, has duplicate keys or a value that JSON cannot represent.

    PyYAML itself would keep only the last of the duplicate keys.
    """
    if any(node is outer for outer in inside):
        raise _error(yaml, node, "an anchor contains itself")
    if id(node) in checked:
        return
    checked.add(id(node))
    if node.tag == BINARY:
        raise _error(yaml, node, "!!binary is not supported; expected text")
    if isinstance(node, yaml.MappingNode):
        _check_keys(yaml, node)
    within = [] if isinstance(node, yaml.ScalarNode) else node.value
    for child in within:
        for part in child if isinstance(child, tuple) else (child,):
            _check(yaml, part, [*inside, node], checked)


def _check_keys(yaml: Any, mapping: Any) -> None:
    keys = [key for key, _ in mapping.value if isinstance(key, yaml.ScalarNode) and key.tag != MERGE]
    times = Counter((key.tag, key.value) for key in keys)
    for key in reversed(keys):
        if times[key.tag, key.value] > 1:
            raise _error(yaml, key, f"the key {key.value!r} appears twice in the same mapping; merge the two")


def _error(yaml: Any, node: Any, problem: str) -> Exception:
    found: Exception = yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
    return found
