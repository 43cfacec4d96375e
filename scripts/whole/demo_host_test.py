# SPDX-License-Identifier: Apache-2.0
"""./demo without a VM."""

import platform
import re
import subprocess
import time
import unittest

from demo_runs import DemoRuns

MACHINE = re.escape(platform.machine())


class DemoOnTheHost(DemoRuns):
    def test_local(self):
        self.assert_shows_the_cat(self.demo("--where", "local"), rf"in the caller's own process \({MACHINE}\)")
        self.assert_nothing_is_left()

    def test_agent(self):
        self.assert_shows_the_cat(self.demo("--where", "agent"), rf"for a process \({MACHINE}\) over a unix socket")
        self.assert_nothing_is_left()

    def test_second_run_within_20_seconds(self):
        started = time.monotonic()
        self.assertEqual(self.demo("--where", "agent").returncode, 0)
        self.assertLess(time.monotonic() - started, 20)

    def test_missing_photo(self):
        done = self.demo("--where", "local", "--photo", "no/such/cat.png")
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stderr, "demo: error: there is no photo /no/such/cat.png\n")

    def test_text_for_a_photo(self):
        for where in ("local", "agent"):
            done = self.demo("--where", where, "--photo", __file__)
            self.assertEqual(done.returncode, 1, done.stdout)
            self.assertIn("demo: error: ", done.stderr)
            self.assertNotIn("Traceback", done.stderr)
            self.assert_nothing_is_left()

    def test_keep_leaves_an_agent_that_can_be_asked_and_stopped(self):
        done = self.demo("--where", "agent", "--keep")
        self.assertEqual(done.returncode, 0, done.stderr)
        ask = re.search(r"^  from here: +(.*)$", done.stdout, re.MULTILINE).group(1).split()
        stop = re.search(r"^  stop: +(.*)$", done.stdout, re.MULTILINE).group(1)
        try:
            self.assertEqual(subprocess.run(ask, stdout=subprocess.DEVNULL).returncode, 0)
        finally:
            subprocess.run([stop], check=True)
        deadline = time.monotonic() + 15
        while self.processes() and time.monotonic() < deadline:
            time.sleep(0.05)
        self.assert_nothing_is_left()


if __name__ == "__main__":
    unittest.main()
