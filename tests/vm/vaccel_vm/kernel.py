# SPDX-License-Identifier: Apache-2.0
"""A distribution's kernel, prepared for a guest: its modules in loading order, its image unpacked.

Unpacking on the host is worth it: an emulated CPU takes 3 s over what the host's does in 0.7 s. The
kernel itself is the distribution's, bit for bit.
"""

import hashlib
import lzma
import os
import struct
import subprocess
import tempfile
from pathlib import Path

from . import elf, parts
from .errors import VmError


def unpacked_image(kernel: parts.Kernel) -> Path:
    """The kernel as an ELF file in the cache; the packed image itself where it cannot be unpacked here
    (no zstd) or not be started by QEMU unpacked: the guest then does it, more slowly."""
    packed = kernel.image.read_bytes()
    path = parts.cache_dir() / f"vmlinux-{kernel.name}-{hashlib.sha256(packed).hexdigest()[:16]}"
    if path.exists():
        return path
    image = _unpack(packed)
    if image is None or not elf.is_elf(image) or not elf.starts_by_pvh(image):
        return kernel.image
    write_whole(path, image)
    return path


def modules_in_order(kernel: parts.Kernel, wanted: list[str]) -> list[tuple[str, bytes]]:
    """(name, content) of the wanted modules and what they depend on, each after what it needs. Modules
    that this kernel has built in need no loading and are left out."""
    built_in = {_module_name(line) for line in (kernel.modules / "modules.builtin").read_text().split()}
    at_hand = {_module_name(p.name): p for p in kernel.modules.rglob("*.ko*")}
    ordered: dict[str, bytes] = {}

    def add(name: str):
        if name in ordered or name in built_in:
            return
        if name not in at_hand:
            raise VmError(f"the guest kernel {kernel.name} has no module {name} under {kernel.modules}")
        content = _module_content(at_hand[name])
        for dependency in elf.module_dependencies(content):
            add(dependency.replace("-", "_"))
        ordered[name] = content

    for name in wanted:
        add(name)
    return list(ordered.items())


def write_whole(path: Path, data: bytes):
    """Writes a file that other processes see whole or not at all."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name + ".")
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(data)
            os.fchmod(out.fileno(), 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _unpack(image: bytes) -> bytes | None:
    """The ELF file in a bzImage, by the fields of the x86 boot protocol, version 2.08 and later."""
    if image[0x202:0x206] != b"HdrS" or struct.unpack_from("<H", image, 0x206)[0] < 0x208:
        return None
    setup_sectors = image[0x1F1] or 4
    offset, length = struct.unpack_from("<II", image, 0x248)
    start = (setup_sectors + 1) * 512 + offset
    payload = image[start : start + length]  # the compressed kernel, then its size in 4 bytes
    if payload[:6] == b"\xfd7zXZ\0":
        return lzma.LZMADecompressor().decompress(payload)
    zstd = parts.zstd()
    if payload[:4] == b"\x28\xb5\x2f\xfd" and zstd is not None:
        done = subprocess.run([zstd, "-dc"], input=payload[:-4], capture_output=True)
        return done.stdout if done.returncode == 0 else None
    return None


def _module_name(path: str) -> str:
    """dir/nd-btt.ko.xz -> nd_btt"""
    return path.rsplit("/", 1)[-1].split(".ko")[0].replace("-", "_")


def _module_content(path: Path) -> bytes:
    data = path.read_bytes()
    return lzma.decompress(data) if path.suffix == ".xz" else data
