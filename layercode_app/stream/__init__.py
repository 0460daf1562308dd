"""Stage 4 of a request, from frames to bytes: send the reply as Server-Sent Events."""
