"""Fork a call: run a recorded conversation on from one of its turns, with other words, another prompt or model."""
