"""A stand-in for the command `particles` that leaves the words it was given, as they came, in $FAKE_SLURM/words."""

import json
import os
import sys
from pathlib import Path

Path(os.environ["FAKE_SLURM"], "words").write_text(json.dumps(sys.argv[1:]))
