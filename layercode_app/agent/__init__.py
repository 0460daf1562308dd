"""Stage 3 of a request, from turn to words: find voice agents in agent files, and run their turns."""
