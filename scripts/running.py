# SPDX-License-Identifier: Apache-2.0
"""Runs an agent for as long as it is needed, and leaves nothing behind."""

import ctypes
import signal
import subprocess
import sys
import time
from pathlib import Path

from fetch_parts.places import build_folder
from fetch_parts.report import SetupError

PR_SET_PDEATHSIG = 1
START_SECONDS, STOP_SECONDS = 30, 10


def stop_on_signals(*signals):
    """Makes these signals end the program as Ctrl-C does, so that everything is cleaned up."""
    def interrupt(number, frame):
        raise KeyboardInterrupt
    for number in signals:
        signal.signal(number, interrupt)


def die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Agent:
    """A vacceld of its own, on the sockets of its configuration in the folder `run`."""

    def __init__(self, run: Path, configuration: Path, outlives_us: bool = False):
        self.run, self.log, self.endpoint = run, run / "agent.log", f"unix:{run}/agent.sock"
        self.started = time.monotonic()
        with open(self.log, "wb") as log:
            # A session of its own: Ctrl-C on the terminal reaches it through stop(), after the calls in flight.
            self.process = subprocess.Popen([build_folder() / "bin/vacceld", "--config", configuration],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                                            preexec_fn=None if outlives_us else die_with_parent)

    def answers(self) -> bool:
        ping = [build_folder() / "bin/vaccel", "--endpoint", self.endpoint, "ping", "--count", "1"]
        return subprocess.run(ping, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL).returncode == 0

    def wait_until_it_answers(self):
        while not self.answers():
            if self.process.poll() is not None:
                raise SetupError(f"the agent ended with exit code {self.process.returncode}:\n{self.last_lines()}")
            if time.monotonic() - self.started > START_SECONDS:
                raise SetupError(f"the agent does not answer after {START_SECONDS} s:\n{self.last_lines()}")
            time.sleep(0.02)
        self.started_in = time.monotonic() - self.started

    def last_lines(self) -> str:
        return "\n".join("  " + line for line in self.log.read_text(errors="replace").splitlines()[-15:])

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                print(f"agent: did not stop within {STOP_SECONDS} s, killed", file=sys.stderr)
                self.process.kill()
                self.process.wait()
