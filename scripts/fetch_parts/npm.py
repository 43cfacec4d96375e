# SPDX-License-Identifier: Apache-2.0
"""npm tarballs: `npm pack` fetches them from the registry that npm is set up for, and the pinned SHA-256 decides."""

import shutil
import subprocess
from pathlib import Path

from .cache import Cache, sha256_of
from .report import SetupError, megabytes, step


class Tarball:
    def __init__(self, name: str, version: str, sha256: str):
        self.name, self.version, self.sha256 = name, version, sha256

    def cached_at(self, cache: Cache) -> Path:
        return cache.folder / "npm" / f"{self.name}-{self.version}.tgz"

    def is_cached(self, cache: Cache) -> bool:
        return self.cached_at(cache).is_file()

    def fetch(self, cache: Cache) -> Path:
        """The tarball's path in the cache, its hash checked; asks the registry only when it is not there."""
        path = self.cached_at(cache)
        if path.is_file():
            self._check(path, f"remove {path} and run set-up again")
            return path
        if not shutil.which("npm"):
            raise SetupError(f"npm is needed to fetch {self.name}@{self.version}; run scripts/setup, which installs it")
        with step(f"npm {self.name} {self.version}") as current, cache.scratch() as scratch:
            fetched = self._pack(cache, scratch)
            self._check(fetched, "the registry serves another file than the one that scripts/parts.toml pins")
            path = cache.keep(fetched, f"npm/{path.name}")
            current.note = megabytes(path.stat().st_size)
        return path

    def _pack(self, cache: Cache, scratch: Path) -> Path:
        what = f"{self.name}@{self.version}"
        done = subprocess.run(
            ["npm", "pack", what, "--pack-destination", scratch, "--cache", scratch / "npm", "--ignore-scripts",
             "--loglevel", "error", "--logs-max", "0"],
            cwd=scratch, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        tarballs = list(scratch.glob("*.tgz"))
        if done.returncode != 0 or len(tarballs) != 1:
            raise cache.failed_to_fetch(what, done.stderr + done.stdout)
        return tarballs[0]

    def _check(self, path: Path, remedy: str):
        actual = sha256_of(path)
        if actual != self.sha256:
            raise SetupError(f"{path.name} has the wrong SHA-256: expected {self.sha256}, got {actual}; {remedy}")
