# SPDX-License-Identifier: Apache-2.0
"""How QEMU is called: the machine, its accelerator and its devices."""

import os
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

_KERNEL_ARGUMENTS = {
    "console": "ttyS0",
    "quiet": None,
    "panic": "-1",  # reboot at once, which -no-reboot turns into an exit
    "no_timer_check": None,  # the check fails at random where the CPU is emulated
    "cryptomgr.notests": None,  # the kernel's self-tests of its ciphers: half a second, emulated
}

# `rep movsb` is emulated byte by byte; without these two flags the guest's memcpy avoids it.
_CPU = {"kvm": "host", "tcg": "max,-erms,-fsrm"}


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
    extra: list[str] = field(default_factory=list)

    def command(self, program: Path) -> list[str]:
        acceleration = {"kvm": "kvm", "tcg": "tcg,thread=multi"}[self.accelerator]
        kernel_arguments = " ".join(k if v is None else f"{k}={v}" for k, v in _KERNEL_ARGUMENTS.items())
        command = [
            str(program),
            *("-machine", "q35,memory-backend=ram", "-accel", acceleration, "-cpu", _CPU[self.accelerator]),
            *("-m", self.memory, "-smp", str(self.cpus)),
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
        return command + self.extra


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
