"""`python -m morlight`."""

from morlight.cli import main

main()
