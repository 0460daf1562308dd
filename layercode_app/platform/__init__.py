"""A client of the platform's REST API, and the tunnel that makes this machine reachable for its webhooks."""
