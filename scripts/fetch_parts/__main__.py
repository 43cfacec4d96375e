# SPDX-License-Identifier: Apache-2.0
"""The command line that scripts/setup calls."""

import argparse
import os
import sys
from pathlib import Path

from .cache import Cache, default_folder
from .parts import Parts, remove_leftovers
from .places import ROOT, locked, parts_folder
from .report import SetupError


def main() -> int:
    arguments = argparse.ArgumentParser(prog="fetch_parts", description="Fetches and unpacks what parts.toml lists.")
    arguments.add_argument("--groups", required=True, help="comma-separated: build, demo, vm, test")
    arguments.add_argument("--listing", type=Path, default=ROOT / "scripts/parts.toml")
    arguments.add_argument("--needs-npm", action="store_true", help="only print whether npm will be needed")
    options = arguments.parse_args()
    folder, groups = parts_folder(), set(options.groups.split(","))
    try:
        parts = Parts(options.listing, folder, Cache(default_folder()))
        if options.needs_npm:
            print("yes" if parts.needs_npm(groups) else "no")
        elif parts.stale(groups):
            with locked(folder, "VACCEL_PARTS"):
                remove_leftovers(folder)
                parts.make(groups)
    except SetupError as error:
        print(f"setup: error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("setup: interrupted; the next run goes on from here", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(main())
