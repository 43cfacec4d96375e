# SPDX-License-Identifier: Apache-2.0
"""run-in-vm: one command, in a guest, as if it ran here."""

import argparse
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from . import parts
from .errors import VmError
from .guest import Guest
from .qemu import Window

_EPILOG = """\
The command's standard output and error are passed through byte for byte, its exit code is returned (128 + the
signal when one ended it). 124: the command ran past --timeout. 125: the tool itself failed and says why.

With --vsock-uds PATH, a connection in the guest to vsock CID 2 port P arrives at the unix socket PATH_P here.

example: run-in-vm --kernel 6.12 --file photo.png -- sh -c 'uname -r; sha256sum /photo.png'
"""


def main(arguments: list[str] | None = None) -> int:
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.check:
        return _check(options.kernel)
    if not options.command:
        parser.error("which COMMAND is the guest to run?")
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _leave)
    try:
        if options.command[0] == "vaccel" and parts.built_program("vaccel") is None:
            raise VmError(f"vaccel has not been built: {parts.build_dir() / 'bin' / 'vaccel'} is missing")
        with Guest(
            options.kernel,
            vsock_uds=options.vsock_uds,
            guest_cid=options.guest_cid,
            files=[_file(text) for text in options.file],
            memory=options.memory,
            windows=[Window(Path(path).absolute()) for path in options.window],
            console=options.console,
        ) as guest:
            if options.describe:
                Path(options.describe).write_text(json.dumps(guest.description.as_dict()) + "\n")
            code = guest.run(
                options.command, env=_environment(options.env), timeout=options.timeout, sink=_pass_through
            ).returncode
    except subprocess.TimeoutExpired:
        late = f"the command did not end within {options.timeout:g} s and was killed"
        print(f"run-in-vm: {late}", file=sys.stderr)
        return 124
    except (VmError, OSError) as error:
        print(f"run-in-vm: {error}", file=sys.stderr)
        return 125
    return code if code >= 0 else 128 - code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="run-in-vm",
        description="Boots a virtual machine with a Debian kernel and runs a command in it.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--kernel", default="6.1", metavar="SERIES", help="the guest's kernel: 6.1 (default) or 6.12")
    add("--vsock-uds", metavar="PATH", help="give the guest a vsock whose host end is this unix socket")
    add("--guest-cid", type=int, default=3, metavar="N", help="the guest's vsock address (default 3)")
    add(
        "--file",
        action="append",
        default=[],
        metavar="HOSTPATH[:GUESTPATH]",
        help="put a file or folder into the guest, by default as /NAME; programs come with their libraries",
    )
    add(
        "--window",
        action="append",
        default=[],
        metavar="FILE",
        help="share the memory of this window file with the guest, where it is /dev/daxN.0",
    )
    add("--env", action="append", default=[], metavar="K=V", help="set a variable for the command")
    add("--memory", default="512M", metavar="SIZE", help="the guest's memory (default 512M)")
    add("--timeout", type=float, default=300, metavar="S", help="for the command (default 300)")
    add("--describe", metavar="FILE", help="write the guest's facts here, as JSON")
    add("--console", metavar="FILE", help="keep what the kernel says here")
    add("--check", action="store_true", help="boot nothing; print what is missing, or nothing")
    add("command", nargs="*", metavar="COMMAND", help="after --: vaccel, or anything busybox offers")
    return parser


def _check(kernel: str) -> int:
    try:
        parts.need_all(kernel)
    except VmError as missing:
        print(missing)
    return 0


def _file(text: str) -> tuple[str, str]:
    host, colon, guest = text.rpartition(":")
    if colon and guest.startswith("/"):
        return host, guest
    return text, "/" + os.path.basename(os.path.normpath(text))


def _environment(settings: list[str]) -> dict[str, str]:
    pairs = [setting.partition("=") for setting in settings]
    for name, equals, _ in pairs:
        if not name or not equals:
            raise VmError(f"--env takes NAME=VALUE, not {name!r}")
    return {name: value for name, _, value in pairs}


def _pass_through(stream: str, data: bytes):
    handle = {"stdout": 1, "stderr": 2}[stream]
    while data:
        try:
            data = data[os.write(handle, data) :]
        except BrokenPipeError:
            return  # whoever read our output has left; the command goes on, as behind a shell's pipe


def _leave(number: int, _frame):
    """Turns a signal into an exit that passes through Guest.close()."""
    raise SystemExit(128 + number)
