# SPDX-License-Identifier: Apache-2.0
"""What set-up says: one line a step, with size and time, and errors that say what to do."""

import errno
import time
from contextlib import contextmanager
from pathlib import Path


class SetupError(Exception):
    """Something that a person must put right; the message says what."""


class Step:
    """A step under way; `note` is what its line ends with (a size, a version)."""

    def __init__(self):
        self.note = ""


@contextmanager
def step(what):
    """Prints `setup: WHAT ...` at once and the note and the time when the block ends without an error."""
    print(f"setup: {what} ...", end="", flush=True)
    started, current = time.monotonic(), Step()
    try:
        yield current
    except BaseException:
        print(" failed", flush=True)
        raise
    details = [current.note] if current.note else []
    details.append(f"{time.monotonic() - started:.1f} s")
    print(" " + ", ".join(details), flush=True)


def megabytes(size):
    return f"{size / 1e6:.1f} MB"


def cannot_write(path: Path, error: OSError, variable: str) -> SetupError:
    """The error for a file that could not be written under a folder which the environment `variable` can move."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        remedy = f"free some space, or let {variable} name a folder on another disk"
    else:
        remedy = f"make it writable for this user, or let {variable} name another folder"
    return SetupError(f"cannot write {path}: {error.strerror}; {remedy}")
