"""Stage 3, turn to words: the voice agent, where it is found and how it runs."""
