"""The platform's REST API, and the tunnel to it."""
