"""`mcp`: serve the journal to a coding assistant over MCP, on stdin and stdout."""

from __future__ import annotations

from typing import Annotated

import typer

from ..options import AgentsDir, StoreUrl


def mcp(
    allow_run: Annotated[
        bool, typer.Option("--allow-run", help="Add the tools that run agents: scenarios and forks. They call models.")
    ] = False,
    agents: AgentsDir = None,
    store: StoreUrl = None,
) -> None:
    """Serve the journal to a coding assistant over MCP, read-only and with personal details replaced."""
    from ...exceptions import ConfigurationError
    from ...observability import logs
    from ...observability.privacy import masking
    from ...output.terminal import print_line
    from ...settings import environment, export_env_file, load_settings

    try:
        from .server import make_server
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] != "mcp":
            raise
        raise ConfigurationError("`mcp` needs the MCP SDK: pip install 'layercode-app[mcp]'") from None

    export_env_file()
    settings = load_settings({"store": store})
    masking.configure(secrets=masking.secret_values(environment()))
    # Logs go to stderr: stdout carries the protocol.
    logs.configure(level="WARNING", log_dir="")
    server = make_server(settings, agents_dir=agents, allow_run=allow_run)
    print_line("Serving the journal over MCP on stdin and stdout, for a coding assistant.", err=True)
    server.run("stdio")
