"""What run_autograder runs in the container."""

import sys
from pathlib import Path

from labctl.gradescope.autograder import autograde

sys.exit(autograde(Path(sys.argv[1] if len(sys.argv) > 1 else "/autograder")))
