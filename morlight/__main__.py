"""`python -m morlight`."""

from morlight.cli.program import program

program()
