"""Stage 5 of a request, around stages 1 to 4: the ASGI app receives webhooks and sends the answers."""
