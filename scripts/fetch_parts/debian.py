# SPDX-License-Identifier: Apache-2.0
"""Debian packages of any suite, downloaded but not installed, with an apt state of their own: root is not needed."""

import fnmatch
import os
import re
import shutil
import subprocess
from pathlib import Path

from .apt_sources import main_stanza, own_codename
from .cache import Cache, sha256_of
from .report import SetupError, megabytes, step


class Suite:
    """One suite's archive, asked through apt-get with a private state in a scratch folder."""

    def __init__(self, name: str, cache: Cache, scratch: Path, etc_apt: Path = Path("/etc/apt")):
        self.name, self.cache, self.folder = name, cache, scratch
        for folder in ("sources", "lists/partial", "archives/partial"):
            (scratch / folder).mkdir(parents=True, exist_ok=True)
        suffix, text = main_stanza(etc_apt, own_codename()).for_suite(name)
        (scratch / "sources" / f"{name}.{suffix}").write_text(text)

    def options(self):
        settings = {
            "Dir::Etc::sourcelist": "/dev/null", "Dir::Etc::sourceparts": self.folder / "sources",
            "Dir::Etc::preferences": "/dev/null", "Dir::Etc::preferencesparts": "/dev/null",
            "Dir::State::lists": self.folder / "lists", "Dir::Cache": self.folder,
            # Root's scratch folder may lie where the user _apt cannot reach.
            "APT::Sandbox::User": "root", "Acquire::Languages": "none", "Acquire::Retries": "2",
            "APT::Update::Error-Mode": "any",
        }
        return [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]

    def run(self, *command) -> str:
        done = subprocess.run([command[0], *self.options(), *command[1:]], cwd=self.folder, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, env=os.environ | {"LC_ALL": "C.UTF-8"})
        if done.returncode != 0:
            raise self.cache.failed_to_fetch(f"Debian's {command[-1]} of {self.name}", done.stdout + done.stderr)
        return done.stdout

    def update(self):
        with step(f"package list of Debian {self.name}") as current:
            self.run("apt-get", "update")
            size = sum(path.stat().st_size for path in (self.folder / "lists").glob("*_Packages*"))
            if size == 0:
                raise SetupError(f"the archive that this machine uses serves no packages of the suite {self.name}")
            current.note = megabytes(size)

    def dependency(self, package: str, pattern: str) -> str:
        """The name of the package that a meta-package depends on."""
        shown = self.run("apt-cache", "show", "--no-all-versions", package)
        depends = re.search(r"^Depends: (.*)$", shown, re.MULTILINE)
        names = [re.split(r"[ (|:]", word.strip())[0] for word in depends.group(1).split(",")] if depends else []
        matching = [name for name in names if fnmatch.fnmatch(name, pattern)]
        if len(matching) != 1:
            raise SetupError(f"{package} of {self.name} depends on {', '.join(names) or 'nothing'}; "
                             f"expected one package like {pattern}")
        return matching[0]

    def download(self, package: str) -> Path:
        before = set(self.folder.glob("*.deb"))
        self.run("apt-get", "download", package)
        (fetched,) = set(self.folder.glob("*.deb")) - before
        return fetched


class Package:
    """One Debian package that a part is made from; `depends` makes it the matching dependency of `name` instead."""

    def __init__(self, name: str, suite: str | None, depends: str | None = None):
        self.name, self.suite, self.depends = name, suite or own_codename(), depends

    def folder(self) -> str:
        return f"debian/{self.suite}/{self.name}" + (f"/{self.depends.rstrip('.*')}" if self.depends else "")

    def cached(self, cache: Cache) -> Path | None:
        """The newest whole copy in the cache, its hash checked."""
        copies = sorted((cache.folder / self.folder()).glob("*.deb"), key=lambda path: path.stat().st_mtime)
        if not copies:
            return None
        path, noted = copies[-1], copies[-1].with_suffix(".sha256")
        expected = noted.read_text().strip() if noted.is_file() else "none noted"
        actual = sha256_of(path)
        if actual != expected:
            raise SetupError(f"{path} has the wrong SHA-256: expected {expected}, got {actual}; "
                             f"remove it and run set-up again")
        return path

    def fetch_from(self, archive: Suite, cache: Cache) -> Path:
        with step(f"package {self.name} of Debian {self.suite}") as current:
            package = archive.dependency(self.name, self.depends) if self.depends else self.name
            fetched = archive.download(package)
            name = f"{self.folder()}/{fetched.name.replace('%3a', '_')}"
            noted = fetched.with_suffix(".sha256")
            noted.write_text(sha256_of(fetched) + "\n")
            cache.keep(noted, str(Path(name).with_suffix(".sha256")))
            path = cache.keep(fetched, name)
            current.note = f"{path.name}, {megabytes(path.stat().st_size)}"
        return path


def fetch_all(packages: list[Package], cache: Cache, etc_apt: Path = Path("/etc/apt")):
    """Brings every package into the cache that is not there yet; one update for each suite that is asked at all."""
    missing = [package for package in packages if package.cached(cache) is None]
    if missing and not shutil.which("apt-get"):
        raise SetupError("apt-get is needed to fetch " + ", ".join(package.name for package in missing))
    for suite in sorted({package.suite for package in missing}):
        with cache.scratch() as scratch:
            archive = Suite(suite, cache, scratch, etc_apt)
            archive.update()
            for package in missing:
                if package.suite == suite:
                    package.fetch_from(archive, cache)
