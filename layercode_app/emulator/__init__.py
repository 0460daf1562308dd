"""An emulator of the LayerCode platform, which runs on your own machine."""
