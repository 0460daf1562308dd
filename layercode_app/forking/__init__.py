"""Fork a call: continue a recorded conversation from one of its turns, with other words, another prompt or model."""
