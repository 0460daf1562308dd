"""`mcp`: serve the journal to a coding assistant over MCP."""
