# SPDX-License-Identifier: Apache-2.0
"""The command line that scripts/setup calls."""

import argparse
import fcntl
import os
import sys
from contextlib import contextmanager
from pathlib import Path

from .cache import Cache, default_folder
from .parts import Parts, remove_leftovers
from .report import SetupError, cannot_write

ROOT = Path(__file__).resolve().parent.parent.parent


@contextmanager
def locked(folder: Path):
    """Two set-ups at once take turns; the kernel drops the lock of one that dies."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = open(folder / ".lock", "w")
    except OSError as error:
        raise cannot_write(folder, error, "VACCEL_PARTS") from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main() -> int:
    arguments = argparse.ArgumentParser(prog="fetch_parts", description=__doc__)
    arguments.add_argument("--groups", required=True, help="comma-separated: build, demo, vm, test")
    arguments.add_argument("--listing", type=Path, default=ROOT / "scripts/parts.toml")
    arguments.add_argument("--needs-npm", action="store_true", help="only print whether npm will be needed")
    options = arguments.parse_args()
    folder = Path(os.environ.get("VACCEL_PARTS") or
                  Path(os.environ.get("VACCEL_BUILD") or ROOT / "build") / "parts").absolute()
    groups = set(options.groups.split(","))
    try:
        parts = Parts(options.listing, folder, Cache(default_folder()))
        if options.needs_npm:
            print("yes" if parts.needs_npm(groups) else "no")
        elif parts.stale(groups):
            with locked(folder):
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
    sys.exit(main())
