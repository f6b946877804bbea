"""A second user of the machine, for tests that run as root: root is one, and the other a number that no account has."""

import os
import stat
import subprocess

import pytest

NEIGHBOUR = 65533
two_users = pytest.mark.skipif(os.geteuid() != 0, reason="two users need root: run this file as root to try them")


def neighbour(script, *words):
    """What the neighbour's shell says to a script: (exit code, output)."""
    done = subprocess.run(
        ["sh", "-c", script, "sh", *map(str, words)], user=NEIGHBOUR, group=NEIGHBOUR, extra_groups=[], cwd="/",
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def mode(path):
    """The permission bits of a file, a folder or a link."""
    return stat.S_IMODE(os.lstat(path).st_mode)
