"""`eval`: play scenarios against an agent and check the answers."""
