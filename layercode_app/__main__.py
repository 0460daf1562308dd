"""`python -m layercode_app` is the command line."""

from .cli.main import main

main()
