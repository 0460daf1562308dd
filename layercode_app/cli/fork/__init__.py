"""`fork`: continue a recorded call from one of its turns."""
