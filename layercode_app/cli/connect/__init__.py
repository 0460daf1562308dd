"""`connect`: connect a project to the platform, step by step."""
