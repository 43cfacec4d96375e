# SPDX-License-Identifier: Apache-2.0
"""Host processes that never outlive us."""

import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

# The kernel sends the "parent died" signal when the *thread* that forked ends. All children are
# therefore forked by this one thread, which lives as long as the process does.
_forker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="forker")


def start(argv: list, log: Path, pass_fds: tuple[int, ...] = ()) -> subprocess.Popen:
    """Starts a program whose output goes to `log`, and which the kernel kills when we die."""

    def fork() -> subprocess.Popen:
        with open(log, "wb") as out:
            return subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *map(str, argv)],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                pass_fds=pass_fds,
                start_new_session=True,  # a Ctrl-C at our terminal is ours to handle
            )

    return _forker.submit(fork).result()


def stop(process: subprocess.Popen | None):
    """Kills and reaps. Guests have nothing to save."""
    if process is not None:
        process.kill()
        process.wait()


def last_lines(path: Path, count: int) -> str:
    """The end of a log, with the control characters that a console may hold made harmless."""
    if not path.exists():
        return ""
    lines = path.read_bytes().decode(errors="replace").splitlines()
    shown = ["".join(c for c in line if c.isprintable() or c == "\t") for line in lines]
    return "\n".join(shown[-count:])
