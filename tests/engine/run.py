"""Entry of `make test-engine`: puts the checkout on the import path and runs the trial. It does nothing else."""

import runpy
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[2])
    runpy.run_module("tests.engine.trial", run_name="__main__")
