"""`python -m lctrain`."""

import sys

from lctrain.cli import main

sys.exit(main())
