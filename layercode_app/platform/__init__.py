"""A client of the platform's REST API, and the tunnel through which the platform's webhooks reach this machine."""
