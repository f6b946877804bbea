"""The command line in this process."""

from particles.cli.main import main

LIMIT = ("--set", "start.count=[8,16]", "--set", "start.seed=[0,1,2]", "--set", "limit.nodes=16")


def called(capsys, *words):
    """The command in this process: (exit code, stdout, stderr). A traceback fails the test."""
    try:
        code = main(list(words))
    except SystemExit as left:
        code = left.code
    return code, *capsys.readouterr()


def set_(*settings):
    return [word for setting in settings for word in ("--set", setting)]
