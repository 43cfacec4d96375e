# SPDX-License-Identifier: Apache-2.0
"""What the VM tests share: both kernels as test parameters, host ends of vsock, questions about processes."""

import os
import socket
import struct
import tempfile
import threading
import time
import unittest
from pathlib import Path

from . import initramfs, parts
from .errors import MissingPart
from .guest import Guest
from .qemu import Window

RUN_IN_VM = parts.TREE / "tests" / "vm" / "run-in-vm"


class OnKernel(unittest.TestCase):
    """A test case around one guest, booted once for the class with a vsock. The tests are a plain
    class; a class for each kernel derives from it and from this one and sets `kernel`. `folder` is private to
    the class."""

    kernel: str
    modules: list[str] = []
    memory = "512M"

    @classmethod
    def files(cls) -> list[tuple]:
        return []

    @classmethod
    def windows(cls) -> list[Window]:
        return []

    @classmethod
    def setUpClass(cls):
        need_parts(cls.kernel)
        cls.folder = Path(cls.enterClassContext(tempfile.TemporaryDirectory(prefix="vm-test-")))
        cls.uds = cls.folder / "vsock.sock"
        cls.guest = cls.enterClassContext(
            Guest(
                cls.kernel,
                vsock_uds=cls.uds,
                files=cls.files(),
                modules=cls.modules,
                memory=cls.memory,
                windows=cls.windows(),
            )
        )


def need_parts(kernel: str):
    """Skips the test, saying why, where what a guest is made of has not been fetched."""
    try:
        parts.need_all(kernel)
    except MissingPart as missing:
        raise unittest.SkipTest(str(missing)) from None


def echo_program() -> Path:
    """guest/vsock_echo.c as a program."""
    return initramfs.compile_static(parts.GUEST_SOURCES / "vsock_echo.c")


def dax_program() -> Path:
    """guest/dax_memory.c as a program."""
    return initramfs.compile_static(parts.GUEST_SOURCES / "dax_memory.c")


WINDOW_START = 2 << 20  # where in a window's file the window is that the guest sees


class EchoListener:
    """The host's end of a guest's vsock port: sends back each message of guest/vsock_echo.c."""

    def __init__(self, path: Path):
        self.path = path
        self.connections = 0
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._live: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def __enter__(self) -> "EchoListener":
        return self

    def __exit__(self, *_):
        """As a process that ends: the listener and every connection go."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()
        for connection in self._live:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # the guest was first
        self.path.unlink()

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._live.append(connection)
            threading.Thread(target=self._echo, args=(connection,), daemon=True).start()

    @staticmethod
    def _echo(connection: socket.socket):
        with connection, connection.makefile("rb") as stream:
            while len(header := stream.read(4)) == 4:
                connection.sendall(header + stream.read(struct.unpack("<I", header)[0]))


def children(pid: int) -> list[int]:
    """The processes whose parent is `pid`, of any of its threads."""
    found = []
    for tasks in Path(f"/proc/{pid}/task").glob("*/children"):
        found += [int(child) for child in tasks.read_text().split()]
    return found


def is_alive(pid: int) -> bool:
    """Whether such a process is there and no mere zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until(condition, seconds: float = 30) -> bool:
    """Asks again and again; for conditions of other processes that tell nobody when they change."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def environment(**changes: str) -> dict[str, str]:
    return {**os.environ, **changes}
