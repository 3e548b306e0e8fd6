"""Our own speed: runs every measurement of this folder, prints one table and writes it as JSON.

    python tests/bench/run.py [--only NAME ...] [--json FILE]

Each module here has a `measure()` that returns figures by name. Compare figures of one run with each other, never with
those of another machine.
"""

from __future__ import annotations

import argparse
import importlib
import json
import platform
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent.parent))


def find_names() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.py") if path.name != "run.py")


def measure(name: str) -> dict[str, float]:
    module = importlib.import_module(f"tests.bench.{name}")
    figures: dict[str, float] = module.measure()
    return figures


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="make bench", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--only", nargs="*", choices=find_names(), help="measure these only")
    parser.add_argument(
        "--json", type=Path, default=Path("build/bench.json"), help="where to write (default: %(default)s)"
    )
    options = parser.parse_args()
    results: dict[str, dict[str, float]] = {}
    for name in options.only or find_names():
        print(f"measuring {name} ...", file=sys.stderr, flush=True)
        results[name] = measure(name)
    print(f"{'what':<16} {'figure':<52} {'value':>14}")
    for name, figures in results.items():
        for figure, value in figures.items():
            print(f"{name:<16} {figure:<52} {value:>14,.4g}")
    options.json.parent.mkdir(parents=True, exist_ok=True)
    machine = {"python": platform.python_version(), "machine": platform.machine(), "system": platform.system()}
    options.json.write_text(json.dumps({"machine": machine, "figures": results}, indent=2) + "\n", encoding="utf-8")
    print(f"written to {options.json}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
