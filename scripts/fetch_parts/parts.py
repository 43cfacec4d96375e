# SPDX-License-Identifier: Apache-2.0
"""Parts: what they are made from, whether they are up to date, and how one is put together and moved into place."""

import json
import os
import shutil
import subprocess
import tempfile
import tomllib
from pathlib import Path

from .cache import Cache
from .debian import Package, fetch_all
from .npm import Tarball
from .report import SetupError, cannot_write, megabytes, step
from .unpack import extract

STAMP = ".made-from.json"  # in each part's folder: the recipe that it was made by


class Source:
    """Where some of a part's files come from: an npm tarball or a Debian package."""

    def __init__(self, recipe: dict, tarballs: dict[str, Tarball], architecture: str):
        self.files = {target: pattern.replace("{arch}", architecture) for target, pattern in recipe["files"].items()}
        if "npm" in recipe:
            self.origin = tarballs[recipe["npm"]]
        else:
            name = recipe["debian"].format(arch=architecture)
            self.origin = Package(name, recipe.get("suite"), recipe.get("depends"))

    def is_npm(self):
        return isinstance(self.origin, Tarball)


class Part:
    def __init__(self, name: str, recipe: dict, tarballs: dict[str, Tarball], architecture: str):
        self.name, self.groups = name, set(recipe["groups"])
        self.runs_here = architecture in recipe.get("architectures", [architecture])
        self.architecture = architecture
        self.sources = [Source(source, tarballs, architecture) for source in recipe["from"]]

    def recipe(self) -> list:
        """What decides the part's content, and so whether it must be made again."""
        return [[vars(source.origin), source.files] for source in self.sources]

    def is_current(self, parts: Path) -> bool:
        folder = parts / self.name
        try:
            stamp = json.loads((folder / STAMP).read_text())
        except (OSError, ValueError):
            return False
        return stamp == self.recipe() and all((folder / target).exists()
                                              for source in self.sources for target in source.files)

    def make(self, parts: Path, cache: Cache):
        """Builds the part beside its place and renames it there: it is whole, or it is not there."""
        with step(f"unpack {self.name}") as current:
            fresh = Path(tempfile.mkdtemp(prefix=f".{self.name}.new-", dir=parts))
            for source in self.sources:
                path = source.origin.cached_at(cache) if source.is_npm() else source.origin.cached(cache)
                extract(path, source.files, fresh)
            (fresh / STAMP).write_text(json.dumps(self.recipe(), indent=1))
            fresh.chmod(0o755)
            replace_folder(fresh, parts / self.name)
            size = sum(path.stat().st_size for path in (parts / self.name).rglob("*") if path.is_file())
            current.note = megabytes(size)


def replace_folder(fresh: Path, target: Path):
    old = fresh.with_name(fresh.name.replace(".new-", ".old-"))
    if target.exists():
        os.rename(target, old)
    os.rename(fresh, target)
    shutil.rmtree(old, ignore_errors=True)


def remove_leftovers(parts: Path):
    """What an interrupted run left. The caller holds the lock on `parts`, so nobody else is writing there."""
    for pattern in (".*.new-*", ".*.old-*"):
        for path in parts.glob(pattern):
            shutil.rmtree(path, ignore_errors=True)


def own_architecture() -> str:
    return subprocess.run(["dpkg", "--print-architecture"], check=True, capture_output=True, text=True).stdout.strip()


class Parts:
    """All of parts.toml, for one machine, one parts folder and one cache."""

    def __init__(self, listing: Path, folder: Path, cache: Cache):
        listed = tomllib.loads(listing.read_text())
        tarballs = {name: Tarball(name, pin["version"], pin["sha256"]) for name, pin in listed["npm"].items()}
        architecture = own_architecture()
        self.parts = [Part(name, recipe, tarballs, architecture) for name, recipe in listed["part"].items()]
        self.folder, self.cache = folder, cache

    def stale(self, groups: set[str]) -> list[Part]:
        return [part for part in self.parts if part.groups & groups and not part.is_current(self.folder)]

    def needs_npm(self, groups: set[str]) -> bool:
        return any(source.is_npm() and not source.origin.is_cached(self.cache)
                   for part in self.stale(groups) for source in part.sources)

    def make(self, groups: set[str]):
        stale = self.stale(groups)
        for part in stale:
            if not part.runs_here:
                raise SetupError(f"the part {part.name} is not known for {part.architecture}; "
                                 f"scripts/parts.toml says where each part comes from")
        sources = [source for part in stale for source in part.sources]
        for source in sources:
            if source.is_npm():
                source.origin.fetch(self.cache)
        fetch_all([source.origin for source in sources if not source.is_npm()], self.cache)
        for part in stale:
            try:
                part.make(self.folder, self.cache)
            except OSError as error:
                raise cannot_write(self.folder / part.name, error, "VACCEL_PARTS") from error
