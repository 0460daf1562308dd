"""Stage 4, words to Server-Sent Events."""
