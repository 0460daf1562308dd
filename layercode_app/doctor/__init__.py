"""`doctor`: check this installation, and report each problem with its fix."""
