"""`variant-autoscaler check-config`: what is wrong with a configuration, and descriptions of what is right."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from adapter.config.json_schema import render_json_schema
from adapter.config.load import load_configuration
from adapter.config.reference import render_reference
from adapter.policies import load_policies

_DESCRIPTION = """\
Checks a configuration file and what it refers to, and tells every problem at once: path, value, bound, nearest known
name, line. Exit code 0 when it can be used, 2 when not."""

_EPILOG = """\
examples:
  variant-autoscaler check-config examples/two-models.yaml
  variant-autoscaler check-config --schema > config.schema.json
  variant-autoscaler check-config --reference > docs/configuration.md"""


def fill(parser: argparse.ArgumentParser) -> None:
    """Give the parser of the command its text and arguments."""
    parser.description, parser.epilog = _DESCRIPTION, _EPILOG
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("config", type=Path, nargs="?", metavar="FILE", help="configuration file (YAML)")
    what.add_argument("--schema", action="store_true", help="print the JSON schema of the file, for editors")
    what.add_argument("--reference", action="store_true", help="print the configuration reference in Markdown")
    parser.set_defaults(command=check)


def check(options: argparse.Namespace) -> int:
    """Print the schema or the reference, or check the file."""
    if options.schema:
        sys.stdout.write(render_json_schema())
    elif options.reference:
        sys.stdout.write(render_reference())
    else:
        settings = load_configuration(options.config, policies=load_policies()).settings
        variants = sum(len(model.variants) for model in settings.models)
        print(f"{options.config}: good ({_count(len(settings.models), 'model')}, {_count(variants, 'variant')})")
    return 0


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
