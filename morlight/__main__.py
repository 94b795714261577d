"""`python -m morlight`."""

from morlight.cli.main import main

main()
