"""`doctor`: check this installation."""
