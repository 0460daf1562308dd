"""`update`: bring a project to the current templates."""
