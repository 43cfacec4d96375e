# SPDX-License-Identifier: Apache-2.0
"""Where set-up puts things, and the environment's variables that move them."""

import fcntl
import os
from contextlib import contextmanager
from pathlib import Path

from .report import cannot_write

ROOT = Path(__file__).resolve().parent.parent.parent


def build_folder() -> Path:
    return Path(os.environ.get("VACCEL_BUILD") or ROOT / "build").absolute()


def moved(variable: str, name: str) -> Path:
    """The folder that `variable` names, else build/NAME."""
    return Path(os.environ.get(variable) or build_folder() / name).absolute()


def parts_folder() -> Path:
    return moved("VACCEL_PARTS", "parts")


@contextmanager
def locked(folder: Path, variable: str):
    """Two set-ups at once take turns in a folder; the kernel drops the lock of one that dies."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = open(folder / ".lock", "w")
    except OSError as error:
        raise cannot_write(folder, error, variable) from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
