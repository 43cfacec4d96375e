# SPDX-License-Identifier: Apache-2.0
"""A guest that stays: `serve` boots it and runs commands for whoever asks at a unix socket, `ask` asks.

One line of JSON each way: {"argv": [...]}, answered by {"code": N, "stdout": BASE64, "stderr": BASE64}.
"""

import argparse
import base64
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from fetch_parts.places import ROOT

BOOT_SECONDS, COMMAND_SECONDS = 180, 300


def serve(options) -> int:
    sys.path.insert(0, str(ROOT / "tests/vm"))
    from vaccel_vm.errors import VmError
    from vaccel_vm.guest import Guest
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        with Guest(options.kernel, vsock_uds=options.vsock_uds,
                   files=[(options.photo, options.photo_in_guest)]) as guest:
            options.facts.write_text(json.dumps(guest.description.as_dict()))
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(str(options.socket))
                listener.listen()
                while True:
                    with listener.accept()[0] as asker:
                        answer_one(guest, asker)
    except VmError as error:
        print(f"guest: error: {error}", file=sys.stderr)
        return 1


def answer_one(guest, asker: socket.socket):
    try:
        with asker.makefile("rw") as line:
            done = guest.run(json.loads(line.readline())["argv"], timeout=COMMAND_SECONDS)
            encode = lambda output: base64.b64encode(output).decode()  # noqa: E731
            line.write(json.dumps({"code": done.returncode, "stdout": encode(done.stdout),
                                   "stderr": encode(done.stderr)}) + "\n")
    except (OSError, ValueError, KeyError, subprocess.TimeoutExpired) as error:
        print(f"guest: {error}", file=sys.stderr)


def ask(options) -> int:
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(options.socket))
            with connection.makefile("rw") as line:
                line.write(json.dumps({"argv": options.command}) + "\n")
                line.flush()
                answer = json.loads(line.readline())
    except (OSError, ValueError) as error:
        print(f"the guest behind {options.socket} does not answer, it may have been stopped: {error}", file=sys.stderr)
        return 125
    sys.stdout.buffer.write(base64.b64decode(answer["stdout"]))
    sys.stderr.buffer.write(base64.b64decode(answer["stderr"]))
    return answer["code"]


class KeptGuest:
    """Starts `serve` in a process that outlives this one; `command` is what to put before a guest's command."""

    def __init__(self, run: Path, kernel: str, photo: Path, photo_in_guest: str):
        self.socket, self.facts, self.log = run / "guest.sock", run / "guest.json", run / "guest.log"
        self.command = [sys.executable, "-B", __file__, "ask", "--socket", str(self.socket)]
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-B", __file__, "serve", "--socket", self.socket, "--facts", self.facts,
                 "--kernel", kernel, "--vsock-uds", run / "vsock.sock", "--photo", photo,
                 "--photo-in-guest", photo_in_guest],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)

    def wait_until_it_is_up(self) -> str | None:
        """What went wrong, or None."""
        deadline = time.monotonic() + BOOT_SECONDS
        while not self.socket.exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                return f"the guest did not come up:\n{self.log.read_text(errors='replace')}"
            time.sleep(0.05)
        return None

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait()


def main() -> int:
    parser = argparse.ArgumentParser(prog="kept_guest", description=__doc__)
    modes = parser.add_subparsers(required=True)
    server, client = modes.add_parser("serve"), modes.add_parser("ask")
    server.set_defaults(mode=serve)
    client.set_defaults(mode=ask)
    for mode in (server, client):
        mode.add_argument("--socket", type=Path, required=True)
    for name in ("--facts", "--vsock-uds", "--photo"):
        server.add_argument(name, type=Path, required=True)
    server.add_argument("--photo-in-guest", required=True)
    server.add_argument("--kernel", required=True)
    client.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    return options.mode(options)


if __name__ == "__main__":
    os.umask(0o077)
    sys.exit(main())
