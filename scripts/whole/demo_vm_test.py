# SPDX-License-Identifier: Apache-2.0
"""./demo with a VM."""

import platform
import re
import signal
import subprocess
import time
import unittest

from demo_runs import DemoRuns

MACHINE = re.escape(platform.machine())


class DemoInAVm(DemoRuns):
    def test_as_it_comes(self):
        self.assert_shows_the_cat(self.demo(), rf"for a QEMU guest \(Linux 6\.1, {MACHINE}\) over vsock")
        self.assert_nothing_is_left()

    def test_newer_kernel(self):
        self.assert_shows_the_cat(self.demo("--kernel", "6.12"),
                                  rf"for a QEMU guest \(Linux 6\.12, {MACHINE}\) over vsock")
        self.assert_nothing_is_left()

    def test_ctrl_c_while_the_guest_boots_leaves_nothing(self):
        running = self.start()
        try:
            for line in running.stdout:
                if line.startswith("guest: boots"):
                    break
            deadline = time.monotonic() + 60
            while len(self.processes()) < 2 and time.monotonic() < deadline:
                time.sleep(0.02)
            running.send_signal(signal.SIGINT)
            _, said = running.communicate(timeout=30)
        finally:
            running.kill()
            running.wait()
        self.assertEqual(running.returncode, 130, said)
        self.assertIn("demo: interrupted", said)
        self.assert_nothing_is_left()

    def test_keep_leaves_a_guest_that_can_be_asked_and_stopped(self):
        done = self.demo("--keep")
        self.assert_shows_the_cat(done, rf"for a QEMU guest \(Linux 6\.1, {MACHINE}\) over vsock")
        in_guest, stop = (re.search(rf"^  {words}: +(\S+)", done.stdout, re.MULTILINE).group(1)
                          for words in ("from the guest", "stop"))
        try:
            release = subprocess.run([in_guest, "uname", "-r"], capture_output=True, text=True)
            self.assertRegex(release.stdout, r"^6\.1\.")
            self.assertEqual(subprocess.run([in_guest, "vaccel", "ping"], stdout=subprocess.DEVNULL).returncode, 0)
        finally:
            subprocess.run([stop], check=True)
        deadline = time.monotonic() + 15
        while self.processes() and time.monotonic() < deadline:
            time.sleep(0.05)
        self.assert_nothing_is_left()


if __name__ == "__main__":
    unittest.main()
