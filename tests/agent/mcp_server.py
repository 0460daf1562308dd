"""An MCP server over stdio, in the few lines that its protocol needs, so that a start takes no time.

With the argument `hang`, it reads its input and never answers.
"""

import json
import os
import sys
from typing import Any

TOOL = {"name": "ask", "description": "Ask the oven.", "inputSchema": {"type": "object", "properties": {}}}


def result_of(request: dict[str, Any]) -> dict[str, Any] | None:
    """The result of a request; None where the method is not known."""
    method = request["method"]
    if method == "initialize":
        version = request["params"]["protocolVersion"]
        info = {"name": "oven", "version": "1"}
        return {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": info}
    if method == "tools/list":
        return {"tools": [TOOL]}
    if method == "tools/call":
        return {"content": [{"type": "text", "text": f"oven {os.getpid()}"}]}
    return {} if method == "ping" else None


def main() -> None:
    for line in sys.stdin:
        request = json.loads(line)
        if "id" not in request or sys.argv[1:] == ["hang"]:
            continue
        answer = {"jsonrpc": "2.0", "id": request["id"]}
        result = result_of(request)
        error = {"code": -32601, "message": "Method not found"}
        sys.stdout.write(json.dumps(answer | ({"error": error} if result is None else {"result": result})) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
