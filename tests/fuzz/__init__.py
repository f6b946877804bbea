"""Hostile files for the program: results, data, laws and configurations that a stranger could have made.

    python -m fuzz                      all cases, with what went wrong (from the folder tests/)
    python -m fuzz links/soft-tree      one case, or all whose name begins so; --keep FOLDER leaves its files there
    python -m fuzz --list               their names

A case is its name: the name seeds its random numbers. Its files are made here; the program reads them in a process of
its own (`child.py`), which is watched (`worker.py`), and what it did is judged (`judge.py`).
"""
