# SPDX-License-Identifier: Apache-2.0
"""A guest: a QEMU machine with a distribution's kernel, booted once, that runs any number of commands.

    with Guest(kernel="6.1", vsock_uds=run / "vsock.sock", files=[(photo, "/photo.png")]) as guest:
        done = guest.run(["vaccel", "classify", "/photo.png"])
        print(done.returncode, done.stdout)

Guests are independent of each other: any number may live at once, in one process or several, as long
as their vsock_uds differ.
"""

import os
import shlex
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from . import initramfs, kernel as kernels, parts, processes, qemu
from .errors import BootFailed, VmError
from .protocol import GuestProcess, Line, Sink

_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "HOME": "/root"}
_SOCKET_PATH_MAX = 107
_MOST_CONSOLE_LINES = 200  # of a console that an error shows
_KVM_TRIAL_SECONDS = 15  # a kernel that KVM can run is up within one


@dataclass(frozen=True)
class Description:
    kernel: str  # uname -r in the guest
    machine: str  # uname -m in the guest
    accelerator: str  # kvm, or tcg: an emulated CPU
    boot_seconds: float  # from the start of QEMU to the first command it could run
    qemu: str  # version

    as_dict = asdict


class Guest:
    """A context manager; entering boots, leaving kills. Nothing of it outlives the process either."""

    def __init__(
        self,
        kernel: str = "6.1",
        *,
        vsock_uds: str | Path | None = None,
        guest_cid: int = 3,
        files: list[tuple[str | Path, str]] = [],
        memory: str = "512M",
        cpus: int = 1,
        modules: list[str] = [],
        windows: list[qemu.Window] = [],
        extra_qemu_args: list[str] = [],
        accelerators: list[str] | None = None,
        boot_timeout: float = 120,
        console: str | Path | None = None,
    ):
        """kernel: a series that scripts/setup fetched.
        vsock_uds: gives the guest a vsock device; a connection from it to CID 2 port P arrives at the
            host's unix socket `<vsock_uds>_P`, which whoever wants it listens on, before or after boot.
        files: (host path, guest path); programs come with their libraries, folders with their content.
            Our own program vaccel is in every guest once it is built.
        modules: more kernel modules to load; what they depend on comes by itself.
        windows: memory to share with the guest, which finds it as /dev/dax*; see Window.
        extra_qemu_args: more of QEMU's command line, such as further devices.
        accelerators: which to try, in order; by default KVM where it can work, then emulation.
        console: keep the kernel's console output in this file."""
        self._kernel = kernel
        self._vsock_uds = Path(vsock_uds).absolute() if vsock_uds is not None else None
        self._guest_cid = guest_cid
        self._files = [(Path(host), guest) for host, guest in files]
        self._memory = memory
        self._cpus = cpus
        self._modules = ["virtio_pci", "virtio_console"]
        self._modules += ["vmw_vsock_virtio_transport"] if vsock_uds is not None else []
        self._modules += [module for window in windows for module in window.modules] + modules
        self._windows = windows
        self._extra_qemu_args = extra_qemu_args
        self._accelerators = accelerators or qemu.likely_accelerators()
        self._boot_timeout = boot_timeout
        self._console_wanted = Path(console).absolute() if console is not None else None
        self._folder: tempfile.TemporaryDirectory | None = None
        self._vsock_device: subprocess.Popen | None = None
        self._qemu: subprocess.Popen | None = None
        self._line: Line | None = None
        self._description: Description | None = None

    def __enter__(self) -> "Guest":
        return self.boot()

    def __exit__(self, *_):
        self.close()

    # --- life ------------------------------------------------------------------------------------

    def boot(self) -> "Guest":
        """Returns when the guest is ready for commands. MissingPart, BootFailed or VmError otherwise, and
        then nothing is left behind."""
        self._check_vsock_path()
        self._check_windows()
        try:
            self._folder = tempfile.TemporaryDirectory(prefix="vaccel-vm-")
            guest_kernel = parts.kernel(self._kernel)
            image = kernels.unpacked_image(guest_kernel)
            initrd = self._in_folder("initramfs")
            own = parts.built_program("vaccel")
            own_files = [(own, "/usr/bin/vaccel")] if own is not None else []
            base = initramfs.base(guest_kernel, self._modules).read_bytes()
            initrd.write_bytes(base + initramfs.of_guest(own_files + self._files))
            self._boot_with_first_that_works(image, initrd)
            if self._windows:
                # The kernel finds what is in them on its own time; this file reads when it is done.
                self.run(["sh", "-c", "cat /sys/bus/nd/devices/ndbus*/wait_probe"], check=True)
        except BaseException:
            self.close()
            raise
        return self

    def close(self):
        """Kills the guest. May be called at any time, and twice."""
        self._stop_machine()
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    @property
    def description(self) -> Description:
        if self._description is None:
            raise VmError("the guest has not been booted")
        return self._description

    @property
    def pids(self) -> list[int]:
        """Of the host processes that make up the guest."""
        return [p.pid for p in (self._qemu, self._vsock_device) if p is not None]

    def console_tail(self, lines: int = 40) -> str:
        """The console's last lines, or more: all from a kernel panic on, whose stack may be long."""
        said = processes.last_lines(self._console, _MOST_CONSOLE_LINES).split("\n")
        panic = next((at for at, line in enumerate(said) if "Kernel panic" in line), len(said))
        return "\n".join(said[min(panic, max(0, len(said) - lines)):])

    # --- commands --------------------------------------------------------------------------------

    def start(
        self, argv: list[str], *, env: dict[str, str] = {}, cwd: str = "/", sink: Sink | None = None
    ) -> GuestProcess:
        """Starts a command and returns at once. With a sink, output goes there as it comes, and not into
        the GuestProcess. A command that does not exist ends with 127, as in a shell."""
        if self._line is None:
            raise VmError("the guest is not running")
        return self._line.start(list(argv), {**_ENVIRONMENT, **env}, cwd, sink)

    def run(
        self,
        argv: list[str],
        *,
        timeout: float = 60,
        env: dict[str, str] = {},
        cwd: str = "/",
        stdin: bytes = b"",
        check: bool = False,
        sink: Sink | None = None,
    ) -> subprocess.CompletedProcess:
        """Runs a command to its end. After `timeout` seconds it is killed and subprocess.TimeoutExpired
        raised; with `check`, an exit code other than 0 is a VmError with what the command said."""
        process = self.start(argv, env=env, cwd=cwd, sink=sink)
        deadline = time.monotonic() + timeout
        try:
            process.write(stdin, timeout)
            process.close_stdin()
            code = process.wait(max(0.0, deadline - time.monotonic()))
        except BaseException:
            process.kill()
            raise
        out, err = process.output()
        if check and code != 0:
            said = (err or out).decode(errors="replace").strip()
            raise VmError(f"in the guest, `{shlex.join(argv)}` ended with {code}: {said}")
        return subprocess.CompletedProcess(argv, code, out, err)

    # --- files -----------------------------------------------------------------------------------

    def copy_in(self, host_path: str | Path, guest_path: str):
        """Copies one file, with its mode, into the running guest."""
        self.write_file(guest_path, Path(host_path).read_bytes(), os.stat(host_path).st_mode & 0o7777)

    def copy_out(self, guest_path: str, host_path: str | Path):
        Path(host_path).write_bytes(self.read_file(guest_path))

    def write_file(self, guest_path: str, data: bytes, mode: int = 0o644):
        script = 'mkdir -p "$(dirname "$1")" && cat > "$1" && chmod "$2" "$1"'
        self.run(["sh", "-c", script, "sh", guest_path, f"{mode:o}"], stdin=data, check=True)

    def read_file(self, guest_path: str) -> bytes:
        return self.run(["cat", guest_path], check=True).stdout

    # --- within ----------------------------------------------------------------------------------

    @property
    def _console(self) -> Path:
        return self._console_wanted or self._in_folder("console")

    def _in_folder(self, name: str) -> Path:
        assert self._folder is not None
        return Path(self._folder.name) / name

    def _check_vsock_path(self):
        if self._vsock_uds is None:
            return
        longest = f"{self._vsock_uds}_65535"
        if len(os.fsencode(longest)) > _SOCKET_PATH_MAX:
            limit = f"with a port it must fit in {_SOCKET_PATH_MAX} bytes"
            raise VmError(f"the vsock path {self._vsock_uds} is too long: {limit}")
        if not self._vsock_uds.parent.is_dir():
            raise VmError(f"the folder of the vsock path {self._vsock_uds} does not exist")
        if _is_listening(self._vsock_uds):
            raise VmError(f"the vsock path {self._vsock_uds} is in use by another process")
        if self._vsock_uds.is_socket():
            self._vsock_uds.unlink()  # left behind by a guest that was killed
        elif self._vsock_uds.exists():
            raise VmError(f"the vsock path {self._vsock_uds} exists and is not a socket")

    def _check_windows(self):
        for window in self._windows:
            if not os.access(window.path, os.R_OK | os.W_OK):
                raise VmError(f"the window {window.path} does not exist, or may not be written")

    def _boot_with_first_that_works(self, image: Path, initrd: Path):
        for accelerator in self._accelerators:
            last = accelerator == self._accelerators[-1]
            timeout = self._boot_timeout if last else _KVM_TRIAL_SECONDS
            try:
                self._start_machine(accelerator, image, initrd, timeout)
                return
            except BootFailed as failure:
                self._stop_machine()
                if last:
                    raise
                reason = str(failure).splitlines()[0]
                print(f"run-in-vm: note: with {accelerator}, {reason}; trying the next way", file=sys.stderr)

    def _start_machine(self, accelerator: str, image: Path, initrd: Path, timeout: float):
        vhost_socket = self._start_vsock_device() if self._vsock_uds is not None else None
        ours, theirs = socket.socketpair()
        with theirs:
            machine = qemu.Machine(
                accelerator=accelerator,
                kernel=image,
                initramfs=initrd,
                console=self._console,
                control_fd=theirs.fileno(),
                memory=self._memory,
                cpus=self._cpus,
                vhost_socket=vhost_socket,
                windows=self._windows,
                extra=self._extra_qemu_args,
            )
            program = parts.qemu()
            started = time.monotonic()
            command = machine.command(program)
            self._qemu = processes.start(command, self._in_folder("qemu.log"), pass_fds=(theirs.fileno(),))
        self._line = Line(ours, self._why_gone)
        hello = self._line.wait_for_hello(timeout)
        took = round(time.monotonic() - started, 2)
        if hello is None:
            raise BootFailed(self._why_not_booted(took, timeout))
        self._description = Description(*hello, accelerator, took, qemu.version(program))

    def _start_vsock_device(self) -> Path:
        vhost_socket = self._in_folder("vhost.sock")
        vhost_socket.unlink(missing_ok=True)
        self._vsock_uds.unlink(missing_ok=True)
        device = f"guest-cid={self._guest_cid},socket={vhost_socket},uds-path={self._vsock_uds}"
        log = self._in_folder("vsock.log")
        self._vsock_device = processes.start([parts.vsock_device(), "--vm", device], log)
        deadline = time.monotonic() + 10
        while not _is_listening(vhost_socket):
            if self._vsock_device.poll() is not None or time.monotonic() > deadline:
                said = processes.last_lines(log, 5) or "it said nothing"
                raise BootFailed(f"the guest's vsock device did not start: {said}")
            time.sleep(0.005)
        return vhost_socket

    def _stop_machine(self):
        processes.stop(self._qemu)
        processes.stop(self._vsock_device)
        self._qemu = self._vsock_device = None
        if self._line is not None:
            self._line.close()
            self._line = None
            if self._vsock_uds is not None:
                self._vsock_uds.unlink(missing_ok=True)

    def _why_not_booted(self, took: float, timeout: float) -> str:
        what = f"it was not up after {timeout:g} s"
        if took < timeout:  # the line broke, which is how QEMU's end begins
            try:
                what = f"QEMU ended with {self._qemu.wait(10)}"
            except subprocess.TimeoutExpired:
                what = "its line to us broke, though QEMU still runs"
        said = processes.last_lines(self._in_folder("qemu.log"), 10)
        return f"the guest did not boot: {what}\n{said}\n--- its console ends with\n{self.console_tail()}"

    def _why_gone(self) -> str:
        if self._folder is None:
            return "the guest was closed"
        return f"the guest stopped; its console ends with\n{self.console_tail()}"


def _is_listening(path: Path) -> bool:
    """Whether a unix socket of this machine listens there; asked of the kernel, since connecting would use
    up the one connection that a device accepts."""
    accepting = 0x10000
    with open("/proc/net/unix") as sockets:
        for line in sockets:
            fields = line.rstrip("\n").split(maxsplit=7)
            if len(fields) == 8 and fields[7] == str(path) and int(fields[3], 16) & accepting:
                return True
    return False
