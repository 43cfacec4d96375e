# SPDX-License-Identifier: Apache-2.0
"""Configures and builds one of CMakePresets.json's presets, with a line of progress."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections import deque
from pathlib import Path

from fetch_parts.places import ROOT, build_folder, locked
from fetch_parts.report import SetupError

PROGRESS = re.compile(r"^\[(\d+)/(\d+)\] ")
LINES_ON_FAILURE = 120


def environment() -> dict[str, str]:
    """CMake takes its compiler launcher from here, and ninja the form of its progress."""
    launcher = shutil.which("ccache")
    launchers = {f"CMAKE_{language}_COMPILER_LAUNCHER": launcher for language in ("C", "CXX")} if launcher else {}
    return launchers | os.environ | {"NINJA_STATUS": "[%f/%t] "}


def is_configured(folder: Path) -> bool:
    """Whether ninja can take over: it sees changed CMakeLists.txt by itself, but neither presets nor a moved tree."""
    ninja, cache = folder / "build.ninja", folder / "CMakeCache.txt"
    return (ninja.is_file() and cache.is_file()
            and ninja.stat().st_mtime > (ROOT / "CMakePresets.json").stat().st_mtime
            and f"CMAKE_HOME_DIRECTORY:INTERNAL={ROOT}\n" in cache.read_text(errors="replace"))


def configure_command(preset: str, folder: Path) -> list[str]:
    command = ["cmake", "--preset", preset, "-B", str(folder)]
    if (folder / "CMakeCache.txt").is_file():
        command.append("--fresh")
    if os.environ.get("VACCEL_BUILD") and preset == "release":
        command.append(f"-DVACCEL_OUTPUT={build_folder()}")
    command += [f"-D{name}={Path(os.environ[name]).absolute()}" for name in ("VACCEL_PARTS", "VACCEL_CATALOGUE")
                if os.environ.get(name)]
    return command


class Progress:
    """`build: PRESET ...` with what is done so far: one line rewritten on a terminal, now and then a line elsewhere."""

    QUIET_SECONDS = 20

    def __init__(self, preset: str):
        self.preset, self.started = preset, time.monotonic()
        self.on_terminal, self.last = sys.stdout.isatty(), self.started

    def show(self, done: str, total: str):
        line = f"build: {self.preset}, {done} of {total} steps"
        if self.on_terminal:
            print(f"\r\033[K{line}", end="", flush=True)
        elif time.monotonic() - self.last > self.QUIET_SECONDS:
            self.last = time.monotonic()
            print(line, flush=True)

    def end(self, result: str):
        clear = "\r\033[K" if self.on_terminal else ""
        print(f"{clear}build: {self.preset} {result}, {time.monotonic() - self.started:.1f} s", flush=True)


def run_showing_progress(command: list[str], progress: Progress) -> int:
    """Runs a command; what it says beside its progress is shown only if it fails. Returns the number of steps."""
    said, total = deque(maxlen=LINES_ON_FAILURE), 0
    with subprocess.Popen(command, cwd=ROOT, env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace") as running:
        for line in running.stdout:
            match = PROGRESS.match(line)
            if match:
                total = int(match.group(2))
                progress.show(*match.groups())
            else:
                said.append(line)
    if running.returncode != 0:
        progress.end("failed")
        sys.stdout.writelines(said)
        raise SetupError(f"{' '.join(command)} failed with exit code {running.returncode}")
    return total


def build(preset: str, target: str = "all") -> Path:
    """Brings the preset's results up to date and returns its build folder."""
    folder, progress = build_folder() / preset, Progress(preset)
    with locked(build_folder(), "VACCEL_BUILD"):  # ninja itself does not mind a second one in the same folder
        if not is_configured(folder):
            run_showing_progress(configure_command(preset, folder), progress)
        steps = run_showing_progress(["cmake", "--build", str(folder), "--target", target], progress)
    progress.end(f"built, {steps} steps" if steps else "is up to date")
    return folder
