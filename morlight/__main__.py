"""`python -m morlight`."""

from morlight.cli.main import program

program()
