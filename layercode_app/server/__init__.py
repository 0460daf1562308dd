"""Stage 5, the ASGI edge."""
