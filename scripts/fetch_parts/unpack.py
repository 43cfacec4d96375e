# SPDX-License-Identifier: Apache-2.0
"""Takes chosen files out of a tarball or a Debian package, as a stream: nothing else of it touches the disk."""

import fnmatch
import os
import shutil
import subprocess
import tarfile
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from .report import SetupError


@contextmanager
def open_archive(path: Path):
    if path.suffix != ".deb":
        with tarfile.open(path, "r|*") as archive:
            yield archive
        return
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", path], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL) as unpacker:
        with tarfile.open(fileobj=unpacker.stdout, mode="r|") as archive:
            yield archive
        unpacker.stdout.read()  # to the end, so that dpkg-deb can say whether the package was sound
        unpacker.stdout.close()
        if unpacker.wait() != 0:
            raise SetupError(f"dpkg-deb cannot read {path}; remove it and run set-up again")


class Wanted:
    """One `TO = FROM` of a part: a file, or with a "/" at the end a folder's content."""

    def __init__(self, target: str, pattern: str):
        self.target, self.pattern, self.is_folder = target.rstrip("/"), pattern.rstrip("/"), pattern.endswith("/")
        self.depth = self.pattern.count("/") + 1
        self.matched = set()

    def place(self, name: str) -> str | None:
        """Where the archive's member `name` goes, relative to the part; None where it is not wanted."""
        parts = PurePosixPath(name).parts
        head = "/".join(parts[:self.depth])
        # Compared part by part, so that a "*" never crosses a "/".
        if len(parts) < self.depth or not all(map(fnmatch.fnmatchcase, parts, self.pattern.split("/"))):
            return None
        if self.is_folder != (len(parts) > self.depth):
            return None
        self.matched.add(head)
        return "/".join((self.target, *parts[self.depth:])).lstrip("/")


def extract(archive_path: Path, files: dict[str, str], into: Path):
    """Extracts `files` ({to: from}); each pattern must match one path, and every path stays inside `into`."""
    wanted = [Wanted(target, pattern) for target, pattern in files.items()]
    try:
        with open_archive(archive_path) as archive:
            for member in archive:
                for want in wanted:
                    place = want.place(member.name)
                    if place is not None:
                        write_member(archive, member, into, place)
    except (tarfile.TarError, EOFError) as error:
        raise SetupError(f"{archive_path} cannot be read ({error}); remove it and run set-up again") from error
    for want in wanted:
        if len(want.matched) != 1:
            found = ", ".join(sorted(want.matched)) or "nothing"
            raise SetupError(f"{archive_path.name}: expected one path like {want.pattern}, found {found}")


def write_member(archive, member, into: Path, place: str):
    target = into / place
    if ".." in PurePosixPath(place).parts:
        raise SetupError(f"refusing a path that leaves its folder: {member.name}")
    if member.isdir():
        target.mkdir(parents=True, exist_ok=True)
    elif member.isfile():
        target.parent.mkdir(parents=True, exist_ok=True)
        with open(target, "wb") as file:
            shutil.copyfileobj(archive.extractfile(member), file, 1 << 20)
        os.chmod(target, 0o755 if member.mode & 0o100 else 0o644)
    # Links are left out: the parts need none, and the ones in the packages point into the system.
