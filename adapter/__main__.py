"""`python -m adapter`: the same as the command `variant-autoscaler`. It does nothing of its own."""

import sys

from adapter.cli import main

if __name__ == "__main__":
    sys.exit(main())
