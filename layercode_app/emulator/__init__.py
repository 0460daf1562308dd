"""LayerCode seen from the other side: a local stand-in for the platform."""
