# SPDX-License-Identifier: Apache-2.0
"""What a guest finds in its file system.

Two archives, one after the other: the base (init, busybox, kernel modules), kept in build/vm by the hash
of what it is made of, and the guest's own files (our programs, the caller's), written for each boot.
"""

import hashlib
import os
import stat
import subprocess
import tempfile
from pathlib import Path

from . import cpio, elf, kernel, parts
from .errors import VmError


def compile_static(source: Path) -> Path:
    """A C source of ours as a static program for the guest, compiled when the source is new."""
    flags = ["-static", "-O2", "-std=gnu17", "-Wall", "-Wextra", "-Werror"]
    key = hashlib.sha256(source.read_bytes() + " ".join(flags).encode()).hexdigest()[:16]
    program = parts.cache_dir() / f"{source.stem}-{key}"
    if program.exists():
        return program
    with tempfile.TemporaryDirectory(dir=program.parent) as folder:
        made = Path(folder) / source.stem
        done = subprocess.run([parts.compiler(), *flags, source, "-o", made], capture_output=True, text=True)
        if done.returncode != 0:
            raise VmError(f"compiling {source} failed:\n{done.stderr.strip()}")
        os.replace(made, program)
    return program


def base(guest_kernel: parts.Kernel, modules: list[str]) -> Path:
    """The archive that brings up any guest of this kernel with these modules."""
    init = compile_static(parts.GUEST_SOURCES / "init.c").read_bytes()
    busybox = parts.busybox()
    loaded = kernel.modules_in_order(guest_kernel, modules)
    paths = [f"/lib/modules/{name}.ko" for name, _ in loaded]
    entries = [
        cpio.file("/init", init, 0o755),
        cpio.file("/bin/busybox", busybox.read_bytes(), 0o755),
        cpio.file("/etc/vm-modules", "".join(path + "\n" for path in paths).encode()),
        cpio.file("/etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n"),
        cpio.file("/etc/group", b"root:x:0:\n"),
        cpio.folder("/root"),
    ]
    entries += [cpio.file(path, content) for path, (_, content) in zip(paths, loaded)]
    key = hashlib.sha256()
    for entry in entries:
        key.update(f"{entry.path} {entry.mode} {len(entry.data)}\n".encode() + entry.data)
    path = parts.cache_dir() / f"base-{guest_kernel.name}-{key.hexdigest()[:16]}.cpio"
    if not path.exists():
        entries += [cpio.link(f"/bin/{applet}", "busybox") for applet in _applets(busybox)]
        kernel.write_whole(path, cpio.archive(entries))
    return path


def of_guest(files: list[tuple[Path, str]]) -> bytes:
    """The archive of (host path, guest path) pairs: files with their modes, programs with their
    libraries, folders with all that is in them."""
    entries: dict[str, cpio.Entry] = {}

    def add(host: Path, guest: str):
        if host.is_dir():
            entries[guest] = cpio.folder(guest)
            for child in sorted(host.iterdir()):
                add(child, f"{guest.rstrip('/')}/{child.name}")
            return
        data = host.read_bytes()
        entries[guest] = cpio.file(guest, data, stat.S_IMODE(host.stat().st_mode))
        if elf.is_elf(data):
            for where, library in elf.libraries(host, [parts.build_dir() / "lib"]).items():
                entries.setdefault(where, cpio.file(where, library.read_bytes(), 0o755))

    for host, guest in files:
        if not Path(host).exists():
            raise VmError(f"{host}, which is to go into the guest as {guest}, does not exist")
        if not guest.startswith("/"):
            raise VmError(f"{guest} is not an absolute path in the guest")
        add(Path(host), guest)
    return cpio.archive(list(entries.values()))


def _applets(busybox: Path) -> list[str]:
    listed = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True)
    return [name for name in listed.stdout.split() if name not in ("busybox", "init")]
