# SPDX-License-Identifier: Apache-2.0
"""How QEMU is called: the machine, its accelerator and its devices."""

import os
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from .errors import VmError

_KERNEL_ARGUMENTS = {
    "console": "ttyS0",
    "quiet": None,
    "panic": "-1",  # reboot at once, which -no-reboot turns into an exit
    "no_timer_check": None,  # the check fails at random where the CPU is emulated
    "cryptomgr.notests": None,  # the kernel's self-tests of its ciphers: half a second, emulated
}

# `rep movsb` is emulated byte by byte; without these two flags the guest's memcpy avoids it.
_CPU = {"kvm": "host", "tcg": "max,-erms,-fsrm"}


@dataclass(frozen=True)
class Window:
    """Memory that the guest and this host's processes share, as the guest sees it: a persistent memory device on a
    file that QEMU maps. With an NVDIMM info block in the file a stock kernel makes it /dev/daxN.0."""

    path: Path  # a file, or /proc/PID/fd/N of a memfd
    device: str = "virtio-pmem"  # or "nvdimm"

    @property
    def size(self) -> int:
        return os.stat(self.path).st_size

    @property
    def modules(self) -> list[str]:
        """The guest kernel's drivers, in loading order."""
        return [{"virtio-pmem": "virtio_pmem", "nvdimm": "nfit"}[self.device], "nd_pmem", "dax_pmem", "device_dax"]


@dataclass
class Machine:
    """One guest as QEMU is to build it."""

    accelerator: str
    kernel: Path
    initramfs: Path
    console: Path  # a file
    control_fd: int  # a connected socket: the other end of the guest's virtio-serial port
    memory: str
    cpus: int
    vhost_socket: Path | None = None  # where a vsock device waits for QEMU
    windows: list[Window] = field(default_factory=list)
    extra: list[str] = field(default_factory=list)

    def command(self, program: Path) -> list[str]:
        acceleration = {"kvm": "kvm", "tcg": "tcg,thread=multi"}[self.accelerator]
        kernel_arguments = " ".join(k if v is None else f"{k}={v}" for k, v in _KERNEL_ARGUMENTS.items())
        command = [
            str(program),
            *("-machine", self._machine_type(), "-accel", acceleration, "-cpu", _CPU[self.accelerator]),
            *("-m", self._memory(), "-smp", str(self.cpus)),
            # Shared, since the vsock device is another process that reads the guest's memory.
            *("-object", f"memory-backend-memfd,id=ram,size={self.memory},share=on"),
            *("-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"),
            *("-serial", f"file:{self.console}"),
            *("-chardev", f"socket,id=control,fd={self.control_fd}"),
            *("-device", "virtio-serial-pci,max_ports=2", "-device", "virtserialport,chardev=control,nr=1"),
            *("-kernel", str(self.kernel), "-initrd", str(self.initramfs), "-append", kernel_arguments),
        ]
        if self.vhost_socket is not None:
            command += ["-chardev", f"socket,id=vsock,path={self.vhost_socket}"]
            command += ["-device", "vhost-user-vsock-pci,chardev=vsock"]
        for number, window in enumerate(self.windows):
            backend = f"id=window{number},share=on,mem-path={window.path},size={window.size}"
            command += ["-object", f"memory-backend-file,{backend}"]
            name = {"virtio-pmem": "virtio-pmem-pci", "nvdimm": "nvdimm"}[window.device]
            command += ["-device", f"{name},id=windowdevice{number},memdev=window{number}"]
        return command + self.extra

    def _machine_type(self) -> str:
        has_nvdimm = any(window.device == "nvdimm" for window in self.windows)
        return "q35,memory-backend=ram" + (",nvdimm=on" if has_nvdimm else "")

    def _memory(self) -> str:
        """Windows lie above the memory, in room that must be asked for: a slot each, aligned to at most 1 GiB."""
        if not self.windows:
            return self.memory
        room = sum(window.size + (1 << 30) for window in self.windows)
        return f"{self.memory},slots={len(self.windows)},maxmem={(_bytes(self.memory) + room) >> 20}M"


def _bytes(size: str) -> int:
    """QEMU's way of writing sizes: 512M, 2G; a mere number is MiB."""
    found = re.fullmatch(r"(\d+)([KMGT]?)", size.upper())
    if found is None:
        raise VmError(f"{size!r} is not a size such as 512M")
    return int(found.group(1)) << {"K": 10, "M": 20, "": 20, "G": 30, "T": 40}[found.group(2)]


def likely_accelerators() -> list[str]:
    """In order of preference. A usable /dev/kvm is not enough: on a virtual machine whose CPU does not
    show virtualisation to its guests, it starts no stock kernel."""
    flags = set(re.findall(r"\b(?:vmx|svm)\b", Path("/proc/cpuinfo").read_text()))
    if flags and os.access("/dev/kvm", os.R_OK | os.W_OK):
        return ["kvm", "tcg"]
    return ["tcg"]


def version(program: Path) -> str:
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"version (\S+)", said)
    return found.group(1) if found else "unknown"
