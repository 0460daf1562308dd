"""The ASGI app and its server, stage 5 of a request: receive webhooks, pass them to the other stages, and answer."""
