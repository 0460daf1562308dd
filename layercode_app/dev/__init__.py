"""Development: an agent server, the emulated platform and the dev page on one port of this machine."""
