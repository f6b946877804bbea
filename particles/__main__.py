"""`python -m particles`: the command line."""

import sys

from particles.cli.main import main

sys.exit(main())
