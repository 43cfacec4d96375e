# SPDX-License-Identifier: Apache-2.0
"""Runs ./demo as a person would, in a temporary folder of its own, and looks at what it leaves behind."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest
from contextlib import suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fetch_parts.places import ROOT, build_folder  # noqa: E402

TOP_FIVE = re.compile(r"^  ([1-5])\. (\S(?:.*\S)?) +(\d\.\d{4})$", re.MULTILINE)
STAGE = re.compile(r"^  (run the model|decode the photo|the whole call) +\d+\.\d\d ms$", re.MULTILINE)


class DemoRuns(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not (build_folder() / "bin/vacceld").exists():
            raise unittest.SkipTest("the project is not built; ./demo does it")

    def setUp(self):
        # Short: the sockets' paths must fit.
        self.temporary = Path(tempfile.mkdtemp(prefix="vt-", dir="/tmp"))
        self.addCleanup(shutil.rmtree, self.temporary, ignore_errors=True)
        self.addCleanup(self.end_what_is_left)
        # No agent may be found that the demo did not start.
        self.environment = os.environ | {"TMPDIR": str(self.temporary), "VACCEL_ENDPOINT": "unix:/nonexistent"}

    def start(self, *arguments) -> subprocess.Popen:
        return subprocess.Popen([ROOT / "demo", *arguments], env=self.environment, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd="/")

    def demo(self, *arguments) -> subprocess.CompletedProcess:
        running = self.start(*arguments)
        out, err = running.communicate(timeout=240)
        return subprocess.CompletedProcess(arguments, running.returncode, out, err)

    def processes(self) -> list[int]:
        """Those that know this test's temporary folder by their command line."""
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                if str(self.temporary).encode() in path.read_bytes():
                    found.append(int(path.parent.name))
            except OSError:
                pass  # ended meanwhile
        return found

    def end_what_is_left(self):
        """So that a test that failed leaves no agent and no guest behind."""
        for process in self.processes():
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGTERM)

    def assert_shows_the_cat(self, done: subprocess.CompletedProcess, where: str):
        self.assertEqual(done.returncode, 0, done.stderr)
        found = TOP_FIVE.findall(done.stdout)
        self.assertEqual([place for place, _, _ in found], ["1", "2", "3", "4", "5"], done.stdout)
        self.assertEqual(found[0][1], "Egyptian cat")
        self.assertEqual(len(STAGE.findall(done.stdout)), 3, done.stdout)
        closing = [line for line in done.stdout.splitlines() if line.startswith("demo:")]
        self.assertEqual(closing, [done.stdout.splitlines()[-1]])
        self.assertRegex(closing[0], rf"^demo: Egyptian cat 0\.9\d, {where}$")

    def assert_nothing_is_left(self):
        self.assertEqual(self.processes(), [])
        self.assertEqual(list(self.temporary.iterdir()), [])
