# SPDX-License-Identifier: Apache-2.0
"""The host's side in tests of the whole path: our agent, as an operator would start it."""

import json
import os
import socket
import subprocess
import unittest
from pathlib import Path

from . import parts, processes
from .errors import VmError


def need_build(*programs: str):
    """The programs' paths; unittest.SkipTest, saying why, where one has not been built."""
    paths = [parts.build_dir() / "bin" / name for name in programs]
    for path in paths:
        if not path.exists():
            raise unittest.SkipTest(f"{path} has not been built")
    if not (catalogue() / "mobilenet" / "model.toml").exists():
        raise unittest.SkipTest(f"the catalogue {catalogue()} has no mobilenet; run scripts/make-catalogue")
    return paths


def catalogue() -> Path:
    return Path(os.environ.get("VACCEL_TEST_CATALOGUE") or parts.build_dir() / "catalogue")


def photo(name: str) -> Path:
    return parts.parts_dir() / "photos" / name


class Agent:
    """A vacceld that serves a guest's vsock. A context manager; start() and kill() may also be called again
    and again, each start() being a new process in the same place."""

    def __init__(self, folder: Path, vsock_uds: Path | None = None, port: int = 4411):
        """vsock_uds: of a guest that is served as soon as the agent runs; others are attached, see attach()."""
        self.config = folder / "vaccel.toml"
        self.endpoint = f"unix:{folder / 'agent.sock'}"
        self._control = folder / "control.sock"
        self._log = folder / "vacceld.log"
        self._ready = folder / "ready.sock"
        self._process: subprocess.Popen | None = None
        listen = [self.endpoint] + ([f"hvsock:{vsock_uds}:{port}"] if vsock_uds is not None else [])
        settings = {"listen": listen, "catalogue": str(catalogue()), "control": str(self._control)}
        # Lists of strings and strings read the same in TOML as in JSON.
        self.config.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in settings.items()))

    def __enter__(self) -> "Agent":
        return self.start()

    def __exit__(self, *_):
        self.kill()

    def start(self, timeout: float = 60) -> "Agent":
        """Returns when the agent says, as it says to systemd, that it is ready."""
        self._ready.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notifications:
            notifications.bind(str(self._ready))
            notifications.settimeout(timeout)
            program = parts.build_dir() / "bin" / "vacceld"
            command = ["env", f"NOTIFY_SOCKET={self._ready}", program, "--config", self.config]
            self._process = processes.start(command, self._log)
            try:
                while b"READY=1" not in notifications.recv(4096).split(b"\n"):
                    pass
            except TimeoutError:
                self.kill()
                raise VmError(f"vacceld was not ready after {timeout:g} s; it said\n{self.log()}") from None
        return self

    def kill(self):
        """As a crash: no farewell, its sockets left lying."""
        processes.stop(self._process)
        self._process = None

    def attach(self, name: str, vsock_uds: Path, *more):
        """Ties a guest to the agent while it runs; `more` is more of `vaccelctl vm attach`, such as its window."""
        self._vaccelctl("vm", "attach", name, "--socket", vsock_uds, "--tenant", name, *more)

    def detach(self, name: str):
        self._vaccelctl("vm", "detach", name)

    def status(self) -> dict:
        return json.loads(self._vaccelctl("status", "--json"))

    def _vaccelctl(self, *arguments) -> str:
        return vaccelctl("--control", self._control, *arguments)

    def log(self) -> str:
        return processes.last_lines(self._log, 40)


def vaccelctl(*arguments) -> str:
    """What it prints; VmError where it fails."""
    program = parts.build_dir() / "bin" / "vaccelctl"
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise VmError(f"vaccelctl {' '.join(map(str, arguments))} failed: {done.stderr.strip()}")
    return done.stdout


def create_window(path: Path, size: str = "64M") -> Path:
    """A new window file, as its operator makes it."""
    vaccelctl("window", "create", path, "--size", size)
    return path


def run_locally(command: str, *arguments, config: Path) -> dict:
    """What `vaccel --json COMMAND` says in local mode, which this configuration describes."""
    program = parts.build_dir() / "bin" / "vaccel"
    argv = [program, "--json", "--endpoint", f"local:{config}", command, *arguments]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        raise VmError(f"vaccel {command} failed in local mode: {done.stderr.strip()}")
    return json.loads(done.stdout)
