"""What each peer serves."""
