"""Stage 4: send the reply as Server-Sent Events."""
