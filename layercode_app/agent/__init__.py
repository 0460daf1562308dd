"""Stage 3, from turn to words: find voice agents in agent files, and run their turns."""
