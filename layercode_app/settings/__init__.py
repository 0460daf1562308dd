"""The table of all settings, and the only code that reads the environment, `.env` and `layercode.toml`.

Precedence: argument, environment, `.env`, `layercode.toml`, default. `Settings.sources` holds the source of each value.
`.env.example` and the report of `doctor` are generated from this table.
"""

from .environment import (
    ENV_FILE,
    environment,
    export_env_file,
    options_for_workers,
    overlaid,
    overlay,
    pass_to_workers,
)
from .example import env_example
from .folders import make_folder
from .load import TOML_FILE, load_settings
from .misspelt import ignored_settings
from .project import service_version
from .secrets import NO_SECRET, fault_of, refuse_faulty_secrets
from .table import Settings, env_name

__all__ = [
    "ENV_FILE",
    "NO_SECRET",
    "TOML_FILE",
    "Settings",
    "env_example",
    "env_name",
    "environment",
    "export_env_file",
    "fault_of",
    "ignored_settings",
    "load_settings",
    "make_folder",
    "options_for_workers",
    "overlaid",
    "overlay",
    "pass_to_workers",
    "refuse_faulty_secrets",
    "service_version",
]
