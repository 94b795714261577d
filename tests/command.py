"""Commands that have to be refused."""

import shlex

import pytest

from morlight.cli import main as cli


def refused(words, capsys):
    """The sentence on standard error of a command that must end with status 2."""
    with pytest.raises(SystemExit) as ended:
        cli.main(shlex.split(words))
    printed = capsys.readouterr()
    assert ended.value.code == 2
    assert printed.out == ""
    assert printed.err.startswith("morlight: ")
    assert printed.err.count("\n") == 1
    return printed.err
