"""Emulate the LayerCode platform on your own machine."""
