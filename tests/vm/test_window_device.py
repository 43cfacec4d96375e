# SPDX-License-Identifier: Apache-2.0
"""Do guest and host see the same memory, whatever it is made of and however the guest gets at it?"""

import fcntl
import mmap
import os
import subprocess
import tempfile
import unittest
from pathlib import Path

from vaccel_vm import Guest, VmError, Window, agent, testing

SIZE = 16 << 20
NAMES = ["a file as virtio-pmem", "a file as nvdimm", "a sealed memfd as virtio-pmem"]
F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW = 1, 2, 4


class WindowTests:
    """What holds on each kernel; see testing.OnKernel."""

    @classmethod
    def files(cls):
        return [(testing.dax_program(), "/bin/dax_memory")]

    @classmethod
    def setUpClass(cls):
        agent.need_build("vaccelctl")
        super().setUpClass()

    @classmethod
    def windows(cls):
        paths = [agent.create_window(cls.folder / name, f"{SIZE >> 20}M") for name in ("pmem", "nvdimm")]
        memfd = os.memfd_create("window", os.MFD_ALLOW_SEALING)
        cls.addClassCleanup(os.close, memfd)
        os.write(memfd, paths[0].read_bytes())
        fcntl.fcntl(memfd, fcntl.F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW)
        paths.append(Path(f"/proc/{os.getpid()}/fd/{memfd}"))
        cls.host = []
        for path in paths:
            with open(path, "r+b") as file:
                memory = mmap.mmap(file.fileno(), 0)
            cls.addClassCleanup(memory.close)
            cls.host.append(memory)
        for name, memory in zip(NAMES, cls.host):
            write(memory, 0, name.encode())
        return [Window(paths[0]), Window(paths[1], "nvdimm"), Window(paths[2])]

    def read(self, device: str, offset: int, size: int) -> bytes:
        return self.guest.run(["dax_memory", "read", device, str(offset), str(size)], check=True).stdout

    def device_of(self, name: str) -> str:
        listed = self.guest.run(["sh", "-c", "ls -d /dev/dax*"], check=True).stdout.decode().split()
        self.assertEqual(len(listed), len(NAMES), listed)
        return next(device for device in listed if self.read(device, 0, len(name)) == name.encode())

    def test_devices_have_the_size_of_what_is_shared(self):
        for name in NAMES:
            device = self.device_of(name).removeprefix("/dev/")
            size = self.guest.read_file(f"/sys/bus/dax/devices/{device}/size")
            self.assertEqual(int(size), SIZE - testing.WINDOW_START, name)

    def test_what_the_guest_writes_is_in_this_window_alone(self):
        last = SIZE - testing.WINDOW_START - 4096
        for number, name in enumerate(NAMES):
            with self.subTest(name):
                data = os.urandom(4096)
                device = self.device_of(name)
                self.guest.run(["dax_memory", "write", device, str(last)], stdin=data, check=True)
                found = [read(memory, last, 4096) == data for memory in self.host]
                self.assertEqual(found, [other == number for other in range(len(NAMES))])

    def test_what_the_host_writes_is_there_for_the_guest(self):
        for name, memory in zip(NAMES, self.host):
            with self.subTest(name):
                device = self.device_of(name)
                for offset in (4096, 5_000_001):
                    data = os.urandom(10_000)
                    write(memory, offset, data)
                    self.assertEqual(self.read(device, offset, len(data)) == data, True)


def read(memory: mmap.mmap, offset: int, size: int) -> bytes:
    start = testing.WINDOW_START + offset
    return memory[start : start + size]


def write(memory: mmap.mmap, offset: int, data: bytes):
    start = testing.WINDOW_START + offset
    memory[start : start + len(data)] = data


class WindowOn61(WindowTests, testing.OnKernel):
    kernel = "6.1"


class WindowOn612(WindowTests, testing.OnKernel):
    kernel = "6.12"


class CommandLine(unittest.TestCase):
    """run-in-vm --window, and windows that cannot be."""

    def setUp(self):
        testing.need_parts("6.1")
        agent.need_build("vaccelctl")
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory(prefix="vm-test-")))
        self.window = agent.create_window(self.folder / "window", f"{SIZE >> 20}M")

    def test_guest_of_run_in_vm_writes_to_the_file(self):
        done = subprocess.run(
            [
                *(testing.RUN_IN_VM, "--window", self.window, "--file", f"{testing.dax_program()}:/bin/dax_memory"),
                *("--", "sh", "-c", "echo hello | dax_memory write /dev/dax0.0 0"),
            ],
            capture_output=True,
            timeout=200,
        )
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, b"", b""))
        with open(self.window, "rb") as file:
            file.seek(testing.WINDOW_START)
            self.assertEqual(file.read(6), b"hello\n")

    def test_file_without_info_block_is_no_dax_device(self):
        with open(self.window, "r+b") as file:
            file.write(bytes(testing.WINDOW_START))
        with Guest("6.1", windows=[Window(self.window)]) as guest:
            self.assertEqual(guest.run(["ls", "/dev/pmem0"]).returncode, 0)
            self.assertNotEqual(guest.run(["ls", "/dev/dax0.0"]).returncode, 0)

    def test_window_that_is_not_there(self):
        with self.assertRaisesRegex(VmError, "the window /no/such/window does not exist"):
            Guest("6.1", windows=[Window(Path("/no/such/window"))]).boot()


if __name__ == "__main__":
    unittest.main()
