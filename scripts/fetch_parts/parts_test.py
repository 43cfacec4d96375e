# SPDX-License-Identifier: Apache-2.0
import hashlib
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

from fetch_parts.archives_for_tests import tarball
from fetch_parts.report import SetupError
from fetch_parts.unpack import extract

SCRIPTS = Path(__file__).resolve().parents[1]


class Unpacked(unittest.TestCase):
    """Parts made from a tarball that is in the cache already, as scripts/setup makes them."""

    CONTENT = {"package/a": b"a", "package/folder/b": b"b", "package/folder/deeper/c": b"c", "package/unwanted": b"?"}

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.parts = self.folder / "parts"
        self.write_recipe(self.CONTENT, '{ "a" = "package/a", "of-folder/" = "package/folder/" }')

    def write_recipe(self, content: dict[str, bytes], files: str, architectures=""):
        packed = tarball(content)
        (self.folder / "cache/npm").mkdir(parents=True, exist_ok=True)
        (self.folder / "cache/npm/it-1.tgz").write_bytes(packed)
        (self.folder / "parts.toml").write_text(
            f'[npm.it]\nversion = "1"\nsha256 = "{hashlib.sha256(packed).hexdigest()}"\n'
            f'[part.it]\ngroups = ["build"]\n{architectures}\n[[part.it.from]]\nnpm = "it"\nfiles = {files}\n')

    def command(self):
        return [sys.executable, "-B", "-m", "fetch_parts", "--groups", "build", "--listing", self.folder / "parts.toml"]

    def environment(self):
        return os.environ | {"VACCEL_CACHE": str(self.folder / "cache"), "VACCEL_PARTS": str(self.parts),
                             "PYTHONPATH": str(SCRIPTS)}

    def make(self) -> subprocess.CompletedProcess:
        return subprocess.run(self.command(), env=self.environment(), capture_output=True, text=True, timeout=120)

    def content(self) -> dict[str, bytes]:
        part = self.parts / "it"
        return {str(path.relative_to(part)): path.read_bytes() for path in part.rglob("*")
                if path.is_file() and not path.name.startswith(".")}

    def names(self):
        return sorted(path.name for path in self.parts.iterdir())

    def test_takes_what_is_wanted_and_nothing_else(self):
        done = self.make()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.content(), {"a": b"a", "of-folder/b": b"b", "of-folder/deeper/c": b"c"})

    def test_second_run_does_nothing(self):
        self.make()
        before = (self.parts / "it").stat().st_ctime_ns
        done = self.make()
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
        self.assertEqual((self.parts / "it").stat().st_ctime_ns, before)

    def test_a_file_that_went_missing_is_put_back(self):
        self.make()
        (self.parts / "it/a").unlink()
        self.assertIn("unpack it", self.make().stdout)
        self.assertTrue((self.parts / "it/a").exists())

    def test_a_changed_recipe_makes_the_part_anew(self):
        self.make()
        self.write_recipe(self.CONTENT, '{ "b" = "package/folder/b" }')
        self.assertEqual(self.make().returncode, 0)
        self.assertEqual(self.content(), {"b": b"b"})
        self.assertEqual(self.names(), [".lock", "it"])

    def test_missing_and_ambiguous_files_are_named(self):
        self.write_recipe(self.CONTENT, '{ "x" = "package/x" }')
        self.assertIn("expected one path like package/x, found nothing", self.make().stderr)
        self.write_recipe(self.CONTENT, '{ "x" = "package/?" }')
        self.assertEqual(self.make().returncode, 0)
        self.write_recipe(self.CONTENT | {"package/z": b"z"}, '{ "x" = "package/?" }')
        self.assertIn("found package/a, package/z", self.make().stderr)

    def test_files_of_this_architecture(self):
        machine = subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True, check=True).stdout.strip()
        self.write_recipe(self.CONTENT | {f"package/{machine}/a": b"ours"}, '{ "a" = "package/{arch}/a" }')
        done = self.make()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.content(), {"a": b"ours"})

    def test_another_architecture(self):
        self.write_recipe(self.CONTENT, '{ "a" = "package/a" }', 'architectures = ["vax"]')
        done = self.make()
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, "the part it is not known for [a-z0-9]+; scripts/parts.toml says")

    def test_a_killed_run_leaves_no_half_part_and_the_next_one_goes_on(self):
        # Big enough that it is still being unpacked when the kill arrives.
        self.write_recipe({"package/a": bytes(600_000_000)}, '{ "a" = "package/a" }')
        running = subprocess.Popen(self.command(), env=self.environment(), stdout=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + 60
            while not list(self.parts.glob(".it.new-*/a")):
                self.assertIsNone(running.poll(), "it ended before it could be killed")
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.001)
        finally:
            running.send_signal(signal.SIGKILL)
            running.wait()
        self.assertFalse((self.parts / "it").exists())
        self.assertEqual(len(list(self.parts.glob(".it.new-*"))), 1)
        done = self.make()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual((self.parts / "it/a").stat().st_size, 600_000_000)
        self.assertEqual(self.names(), [".lock", "it"])

    def test_two_runs_at_once(self):
        runs = [subprocess.Popen(self.command(), env=self.environment(), stdout=subprocess.DEVNULL) for _ in range(4)]
        self.assertEqual([run.wait(120) for run in runs], [0] * 4)
        self.assertEqual(self.content(), {"a": b"a", "of-folder/b": b"b", "of-folder/deeper/c": b"c"})
        self.assertEqual(self.names(), [".lock", "it"])


class HostileArchive(unittest.TestCase):
    def test_a_path_cannot_leave_its_folder(self):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "it.tgz").write_bytes(tarball({"package/folder/../../../escaped": b"!"}))
            with self.assertRaisesRegex(SetupError, "leaves its folder"):
                extract(folder / "it.tgz", {"x/": "package/folder/"}, folder / "out")
            self.assertEqual([path for path in folder.rglob("escaped")], [])

    def test_no_archive_at_all(self):
        with tempfile.TemporaryDirectory() as name:
            path = Path(name) / "it.tgz"
            for content in (b"", b"text", tarball({"package/a": b"a" * 100})[:60]):
                path.write_bytes(content)
                with self.assertRaisesRegex(SetupError, "it.tgz"):
                    extract(path, {"a": "package/a"}, Path(name) / "out")


if __name__ == "__main__":
    unittest.main()
