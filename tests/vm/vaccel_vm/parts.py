# SPDX-License-Identifier: Apache-2.0
"""Where the parts of a guest lie: kernels, QEMU, the vsock device, busybox, and what our build made.

scripts/setup puts the fetched parts under build/parts. VACCEL_PARTS names another folder for them,
VACCEL_BUILD another one for build.
"""

import os
import platform
import shutil
from dataclasses import dataclass
from pathlib import Path

from .errors import MissingPart, VmError

TREE = Path(__file__).resolve().parents[3]
GUEST_SOURCES = Path(__file__).resolve().parents[1] / "guest"

# /usr/sbin and the like are not on every user's PATH.
_SEARCH_PATH = os.environ.get("PATH", os.defpath) + ":/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"


@dataclass(frozen=True)
class Kernel:
    name: str  # the series, as 6.1
    image: Path  # a bzImage
    modules: Path  # what the package has in lib/modules/VERSION


def build_dir() -> Path:
    return Path(os.environ.get("VACCEL_BUILD") or TREE / "build").absolute()


def parts_dir() -> Path:
    return Path(os.environ.get("VACCEL_PARTS") or build_dir() / "parts").absolute()


def cache_dir() -> Path:
    """Where made parts (unpacked kernels, initramfs, the guest's init) are kept by content hash."""
    path = build_dir() / "vm"
    path.mkdir(parents=True, exist_ok=True)
    return path


def kernel(name: str) -> Kernel:
    folder = parts_dir() / f"kernel-{name}"
    found = Kernel(name, folder / "vmlinuz", folder / "modules")
    for path in (found.image, found.modules):
        if not path.exists():
            raise MissingPart(f"the guest kernel {name} is not there ({path} is missing)")
    return found


def vsock_device() -> Path:
    path = parts_dir() / "vhost-device-vsock" / "vhost-device-vsock"
    if not os.access(path, os.X_OK):
        raise MissingPart(f"the guest's vsock device is not there ({path} is missing)")
    return path


def qemu() -> Path:
    if platform.machine() != "x86_64":
        here = platform.machine()
        raise VmError(f"guests are x86_64 machines that run this host's programs, and this host is {here}")
    return _program("qemu-system-x86_64", "QEMU")


def busybox() -> Path:
    path = _program("busybox", "the static busybox")
    if b"/ld-linux" in path.read_bytes()[:4096]:
        raise MissingPart(f"{path} is dynamically linked and the guest needs the static one (busybox-static)")
    return path


def compiler() -> Path:
    return _program(os.environ.get("CC") or "cc", "a C compiler")


def zstd() -> Path | None:
    found = shutil.which("zstd", path=_SEARCH_PATH)
    return Path(found) if found else None


def built_program(name: str) -> Path | None:
    """A program of ours, or None where it has not been built."""
    path = build_dir() / "bin" / name
    return path if path.exists() else None


def need_all(kernel_name: str):
    """MissingPart where anything has not been fetched that a guest with this kernel is made of."""
    kernel(kernel_name)
    vsock_device()
    qemu()
    busybox()
    compiler()


def _program(name: str, what: str) -> Path:
    found = shutil.which(name, path=_SEARCH_PATH)
    if found is None:
        raise MissingPart(f"{what} is not there (no program {name})")
    return Path(found)
