"""`python -m particles`: the command line."""

import sys

from particles.study.cli import main

sys.exit(main())
