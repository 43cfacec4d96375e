# SPDX-License-Identifier: Apache-2.0
"""Writes an initramfs: a cpio archive in the "newc" form, made of named entries and nothing of the
machine it is written on (no owner, no time), so that equal entries give equal bytes."""

import stat
from dataclasses import dataclass
from pathlib import PurePosixPath


@dataclass(frozen=True)
class Entry:
    path: str  # absolute, in the guest
    data: bytes  # a link's target
    mode: int  # with the type bits


def file(path: str, data: bytes, mode: int = 0o644) -> Entry:
    return Entry(path, data, stat.S_IFREG | mode)


def link(path: str, target: str) -> Entry:
    return Entry(path, target.encode(), stat.S_IFLNK | 0o777)


def folder(path: str) -> Entry:
    return Entry(path, b"", stat.S_IFDIR | 0o755)


def archive(entries: list[Entry]) -> bytes:
    """The archive of `entries` and the folders above them. Archives may be put one after another; the
    kernel unpacks each in turn, the later one winning."""
    parts = []
    above = {str(p) for e in entries for p in PurePosixPath(e.path).parents} - {"/"}
    everything = [folder(f) for f in sorted(above - {e.path for e in entries})] + entries
    everything.sort(key=lambda entry: PurePosixPath(entry.path).parts)  # a folder before what is in it
    for number, entry in enumerate(everything, start=1):
        parts.append(_record(number, entry.path.lstrip("/"), entry.mode, entry.data))
    parts.append(_record(0, "TRAILER!!!", 0, b""))
    return b"".join(parts)


def _record(number: int, name: str, mode: int, data: bytes) -> bytes:
    raw_name = name.encode() + b"\0"
    fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(raw_name), 0)
    header = b"070701" + b"".join(b"%08X" % value for value in fields)
    return _padded(header + raw_name) + _padded(data)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)
