# SPDX-License-Identifier: Apache-2.0
"""The folder of downloaded files. A file that has its final name is whole: it is fetched beside it and renamed."""

import hashlib
import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path

from .report import SetupError, cannot_write

VARIABLE = "VACCEL_CACHE"


def default_folder(environment=os.environ) -> Path:
    if environment.get(VARIABLE):
        return Path(environment[VARIABLE])
    base = environment.get("XDG_CACHE_HOME") or Path(environment.get("HOME", "/root")) / ".cache"
    return Path(base) / "vaccel"


def sha256_of(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Cache:
    def __init__(self, folder: Path):
        self.folder = Path(folder).absolute()

    @contextmanager
    def scratch(self):
        """An empty folder on the cache's own disk, so that a rename out of it is atomic. Removed afterwards."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            scratch = Path(tempfile.mkdtemp(prefix="incoming-", dir=self.folder))
        except OSError as error:
            raise cannot_write(self.folder, error, VARIABLE) from error
        try:
            yield scratch
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def keep(self, fetched: Path, name: str) -> Path:
        """Moves a whole file out of a scratch folder to its final name."""
        target = self.folder / name
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with open(fetched, "rb") as file:
                os.fsync(file.fileno())
            os.replace(fetched, target)
        except OSError as error:
            raise cannot_write(target, error, VARIABLE) from error
        return target

    def failed_to_fetch(self, what: str, output: str) -> SetupError:
        """The error for a client (npm, apt-get) that failed; tells a full disk from an unreachable archive."""
        said = "\n".join("  " + line for line in output.strip().splitlines()[-8:])
        if any(words in output for words in ("ENOSPC", "No space left on device", "enough free space")):
            return SetupError(f"cannot fetch {what}: no space left for {self.folder}; free some space, or let "
                              f"{VARIABLE} name a folder on another disk. It said:\n{said}")
        return SetupError(f"cannot fetch {what}, and it is not in the cache ({self.folder}); is the network up? "
                          f"It said:\n{said}")
