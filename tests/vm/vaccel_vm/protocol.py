# SPDX-License-Identifier: Apache-2.0
"""The host's end of the line to a guest's init (guest/init.c describes the frames).

A Line owns the socket and one thread that reads it. A GuestProcess is one command in the guest: its
output gathers here until somebody reads it; what is written to it goes to the command's standard input.
"""

import socket
import struct
import subprocess
import threading
from typing import Callable

from .errors import GuestGone, VmError

_HEADER = struct.Struct("<III")  # kind, job, length
_PAYLOAD_MAX = 64 * 1024
_STDIN_WINDOW = 256 * 1024
_EXEC, _STDIN, _KILL = 1, 2, 3
_HELLO, _STDOUT, _STDERR, _STDIN_TAKEN, _EXIT = 65, 66, 67, 68, 69

# Called with "stdout" or "stderr" and the bytes, on the line's own thread.
Sink = Callable[[str, bytes], None]


class GuestProcess:
    """A command that runs, or ran, in the guest. Made by Guest.start()."""

    def __init__(self, line: "Line", job: int, argv: list[str], sink: Sink | None):
        self.argv = argv
        self._line = line
        self._job = job
        self._sink = sink
        self._changed = threading.Condition()
        self._output = {"stdout": bytearray(), "stderr": bytearray()}
        self._untaken = 0
        self._returncode: int | None = None
        self._gone: str | None = None

    @property
    def returncode(self) -> int | None:
        """None while it runs; its exit code, or minus the signal that ended it."""
        return self._returncode

    def write(self, data: bytes, timeout: float = 60):
        """Puts bytes on its standard input, waiting while the command does not take them."""
        for at in range(0, len(data), _PAYLOAD_MAX):
            chunk = data[at : at + _PAYLOAD_MAX]
            self._wait_for(lambda: self._untaken + len(chunk) <= _STDIN_WINDOW, timeout)
            if self._returncode is not None:
                return
            with self._changed:
                self._untaken += len(chunk)
            self._line.send(_STDIN, self._job, chunk)

    def close_stdin(self):
        self._line.send(_STDIN, self._job, b"")

    def kill(self, signal: int = 9):
        """Signals the command and its process group."""
        self._line.send(_KILL, self._job, struct.pack("<I", signal))

    def read_line(self, timeout: float = 60) -> bytes:
        """The next line of its standard output, newline included; what is left when it has ended."""
        out = self._output["stdout"]
        self._wait_for(lambda: b"\n" in out, timeout)
        with self._changed:
            end = out.find(b"\n") + 1 or len(out)
            line = bytes(out[:end])
            del out[:end]
            return line

    def wait(self, timeout: float | None = 60) -> int:
        """Waits for its end; returns the exit code, or minus the signal. subprocess.TimeoutExpired when it
        takes longer: it then still runs."""
        self._wait_for(lambda: False, timeout)
        assert self._returncode is not None
        return self._returncode

    def output(self) -> tuple[bytes, bytes]:
        """What it has written to stdout and stderr so far and nobody has read."""
        with self._changed:
            return bytes(self._output["stdout"]), bytes(self._output["stderr"])

    def _wait_for(self, condition: Callable[[], bool], timeout: float | None):
        """Until the condition holds or the command has ended."""
        with self._changed:
            done = self._changed.wait_for(
                lambda: condition() or self._returncode is not None or self._gone is not None, timeout
            )
            if not done:
                raise subprocess.TimeoutExpired(self.argv, timeout, *map(bytes, self._output.values()))
            if self._gone is not None and self._returncode is None:
                raise GuestGone(self._gone)

    def _on_frame(self, kind: int, payload: bytes):
        name = {_STDOUT: "stdout", _STDERR: "stderr"}.get(kind)
        if name is not None and self._sink is not None:
            self._sink(name, payload)
            return
        with self._changed:
            if name is not None:
                self._output[name] += payload
            elif kind == _STDIN_TAKEN:
                self._untaken -= struct.unpack("<I", payload)[0]
            elif kind == _EXIT:
                self._returncode = struct.unpack("<i", payload)[0]
            self._changed.notify_all()

    def _on_gone(self, why: str):
        with self._changed:
            self._gone = why
            self._changed.notify_all()


class Line:
    """The connection to one guest. `end` is this side of the socket, which the line now owns;
    `why_gone` explains, when asked, why the guest hung up."""

    def __init__(self, end: socket.socket, why_gone: Callable[[], str]):
        self._end = end
        self._why_gone = why_gone
        self._lock = threading.Lock()  # of the three below
        self._processes: dict[int, GuestProcess] = {}
        self._next_job = 1
        self._gone: str | None = None
        self._sending = threading.Lock()
        self._hello: tuple[str, str] | None = None
        self._greeted = threading.Event()
        self._reader = threading.Thread(target=self._read, name="guest-line", daemon=True)
        self._reader.start()

    def wait_for_hello(self, timeout: float) -> tuple[str, str] | None:
        """The guest's `uname -r` and `uname -m` once it is up; None when the time is over or the other
        end hung up."""
        self._greeted.wait(timeout)
        return self._hello

    def start(self, argv: list[str], env: dict[str, str], cwd: str, sink: Sink | None) -> GuestProcess:
        strings = [cwd, *argv, *(f"{key}={value}" for key, value in env.items())]
        if any("\0" in s for s in strings):
            raise VmError("a command, its environment or its directory contains a NUL character")
        request = struct.pack("<II", len(argv), len(env)) + b"".join(s.encode() + b"\0" for s in strings)
        if len(request) > _PAYLOAD_MAX:
            limit = f"at most {_PAYLOAD_MAX} go through"
            raise VmError(f"a command and its environment take {len(request)} bytes; {limit}")
        with self._lock:
            if self._gone is not None:
                raise GuestGone(self._gone)
            process = GuestProcess(self, self._next_job, argv, sink)
            self._processes[self._next_job] = process
            self._next_job += 1
        self.send(_EXEC, process._job, request)
        return process

    def send(self, kind: int, job: int, payload: bytes):
        try:
            with self._sending:
                self._end.sendall(_HEADER.pack(kind, job, len(payload)) + payload)
        except OSError:
            pass  # the reader sees the same and tells everyone who waits

    def close(self):
        try:
            self._end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # the other end was first
        self._reader.join()
        self._end.close()

    def _read(self):
        stream = self._end.makefile("rb")
        try:
            while header := stream.read(_HEADER.size):
                kind, job, length = _HEADER.unpack(header)
                self._dispatch(kind, job, stream.read(length))
        except (OSError, struct.error):
            pass  # hung up, perhaps in the middle of a frame
        finally:
            stream.close()
            with self._lock:
                self._gone = self._why_gone()
                waiting = list(self._processes.values())
            for process in waiting:
                process._on_gone(self._gone)
            self._greeted.set()

    def _dispatch(self, kind: int, job: int, payload: bytes):
        if kind == _HELLO:
            release, machine = payload.rstrip(b"\0").decode().split("\0")
            self._hello = (release, machine)
            self._greeted.set()
            return
        with self._lock:
            process = self._processes.get(job)
            if kind == _EXIT:
                self._processes.pop(job, None)
        if process is not None:
            process._on_frame(kind, payload)
