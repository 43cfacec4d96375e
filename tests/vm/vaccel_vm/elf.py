# SPDX-License-Identifier: Apache-2.0
"""As much of ELF (64 bit, little-endian) as it takes to gather a program's libraries without running
it, to read a kernel module's dependencies, and to see whether QEMU can start a kernel as it is."""

import struct
from dataclasses import dataclass, field
from pathlib import Path

from .errors import VmError

_PT_LOAD, _PT_DYNAMIC, _PT_INTERP, _PT_NOTE = 1, 2, 3, 4
_DT_NULL, _DT_NEEDED, _DT_STRTAB, _DT_RPATH, _DT_RUNPATH = 0, 1, 5, 15, 29
_XEN_PVH_ENTRY = 18  # the note that names the entry point for QEMU's -kernel with an unpacked kernel

# Debian's loader looks here with no ld.so.cache; the guest has none.
_SYSTEM_DIRS = [
    Path("/lib/x86_64-linux-gnu"),
    Path("/usr/lib/x86_64-linux-gnu"),
    Path("/lib64"),
    Path("/usr/lib64"),
    Path("/lib"),
    Path("/usr/lib"),
]


@dataclass
class Dynamic:
    interpreter: str | None = None
    needed: list[str] = field(default_factory=list)
    search: list[str] = field(default_factory=list)  # RUNPATH or RPATH, $ORIGIN not yet replaced


def is_elf(data: bytes) -> bool:
    return data[:6] == b"\x7fELF\x02\x01"


def read_dynamic(data: bytes) -> Dynamic:
    """What the loader would do for this program or library; empty for a static one."""
    found = Dynamic()
    segments = list(_segments(data))
    table = []
    for kind, offset, _, size in segments:
        if kind == _PT_INTERP:
            found.interpreter = data[offset : offset + size].rstrip(b"\0").decode()
        elif kind == _PT_DYNAMIC:
            table = list(struct.iter_unpack("<QQ", data[offset : offset + size]))
    strings = next((_file_offset(segments, value) for tag, value in table if tag == _DT_STRTAB), 0)
    for tag, value in table:
        if tag == _DT_NULL:
            break
        if tag == _DT_NEEDED:
            found.needed.append(_string(data, strings + value))
        elif tag in (_DT_RPATH, _DT_RUNPATH):
            found.search += _string(data, strings + value).split(":")
    return found


def libraries(program: Path, extra_dirs: list[Path] = []) -> dict[str, Path]:
    """Guest path -> host path of the loader and of every library that `program` needs, by the rules of
    the loader itself: the folders that a file names, then `extra_dirs`, then the system's."""
    wanted: dict[str, Path] = {}
    queue = [Path(program)]
    while queue:
        path = queue.pop()
        dynamic = read_dynamic(path.read_bytes())
        if dynamic.interpreter:
            wanted[dynamic.interpreter] = Path(dynamic.interpreter)
        origin = str(path.resolve().parent)
        dirs = [Path(d.replace("$ORIGIN", origin).replace("${ORIGIN}", origin)) for d in dynamic.search]
        for name in dynamic.needed:
            if any(Path(guest_path).name == name for guest_path in wanted):
                continue
            found = _find_library(name, dirs + extra_dirs + _SYSTEM_DIRS)
            if found is None:
                raise VmError(f"{path} needs the library {name}, which is nowhere to be found")
            wanted[f"/usr/lib/{name}"] = found
            queue.append(found)
    return wanted


def module_dependencies(data: bytes) -> list[str]:
    """Names of the kernel modules that must be loaded before this one (its .modinfo says so)."""
    for name, body in _sections(data):
        if name == ".modinfo":
            for entry in body.split(b"\0"):
                if entry.startswith(b"depends="):
                    return [d for d in entry[len(b"depends=") :].decode().split(",") if d]
    return []


def starts_by_pvh(data: bytes) -> bool:
    """Whether QEMU can start this unpacked kernel directly."""
    for kind, offset, _, size in _segments(data):
        if kind != _PT_NOTE:
            continue
        at, end = offset, offset + size
        while at + 12 <= end:
            name_size, body_size, note = struct.unpack_from("<III", data, at)
            if note == _XEN_PVH_ENTRY and data[at + 12 : at + 15] == b"Xen":
                return True
            at += 12 + (name_size + 3) // 4 * 4 + (body_size + 3) // 4 * 4
    return False


def _segments(data: bytes):
    """(kind, file offset, address, size in the file) of each program header."""
    (start,) = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    for i in range(count):
        kind, _, offset, address, _, file_size = struct.unpack_from("<IIQQQQ", data, start + i * size)
        yield kind, offset, address, file_size


def _sections(data: bytes):
    """(name, bytes) of each section."""
    (start,) = struct.unpack_from("<Q", data, 40)
    size, count, names = struct.unpack_from("<HHH", data, 58)
    headers = [struct.unpack_from("<IIQQQQ", data, start + i * size) for i in range(count)]
    for name, _, _, _, offset, length in headers:
        yield _string(data, headers[names][4] + name), data[offset : offset + length]


def _file_offset(segments: list, address: int) -> int:
    for kind, offset, start, size in segments:
        if kind == _PT_LOAD and start <= address < start + size:
            return offset + address - start
    raise VmError(f"the address {address:#x} in an ELF file belongs to none of its segments")


def _string(data: bytes, at: int) -> str:
    return data[at : data.index(b"\0", at)].decode()


def _find_library(name: str, dirs: list[Path]) -> Path | None:
    for folder in dirs:
        path = folder / name
        if path.is_file():
            with open(path, "rb") as file:
                if is_elf(file.read(16)):
                    return path
    return None
