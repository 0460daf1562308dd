"""Stage 5, the ASGI app and its server: receive webhooks, pass them to the other stages, and send the answers."""
