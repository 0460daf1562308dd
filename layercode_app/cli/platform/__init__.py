"""`platform`: the platform's agents and sessions."""
