# SPDX-License-Identifier: Apache-2.0
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from fetch_parts.archives_for_tests import NpmRegistry, tarball, with_mounts

SCRIPTS = Path(__file__).resolve().parents[1]
# Incompressible, so that it needs its size on the disk.
SERVED = tarball({"package/package.json": b'{"name": "a-part", "version": "1.2.3"}',
                  "package/data": os.urandom(3_000_000)})
SHA256 = hashlib.sha256(SERVED).hexdigest()
LISTING = """
[npm.a-part]
version = "1.2.3"
sha256 = "{sha256}"
[part.data]
groups = ["build"]
[[part.data.from]]
npm = "a-part"
files = {{ "data" = "package/data" }}
"""


@unittest.skipUnless(shutil.which("npm"), "npm is not installed")
class FetchedTarball(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.cache, self.parts = self.folder / "cache", self.folder / "parts"
        self.registry = NpmRegistry("a-part", "1.2.3", SERVED)
        self.is_open = True
        self.addCleanup(self.unplug)

    def unplug(self):
        if self.is_open:
            self.registry.close()
        self.is_open = False

    def set_up(self, sha256=SHA256, mounts="") -> subprocess.CompletedProcess:
        """The fetching as scripts/setup does it, with the mounts that a shell command makes."""
        listing = self.folder / "parts.toml"
        listing.write_text(LISTING.format(sha256=sha256))
        command = [sys.executable, "-B", "-m", "fetch_parts", "--groups", "build", "--listing", str(listing)]
        if mounts:
            command = with_mounts(mounts, command)
        environment = os.environ | self.registry.environment() | {
            "VACCEL_CACHE": str(self.cache), "VACCEL_PARTS": str(self.parts), "PYTHONPATH": str(SCRIPTS)}
        return subprocess.run(command, env=environment, cwd=self.folder, stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=120)

    def files_in_cache(self):
        return [path for path in self.cache.rglob("*") if path.is_file()]

    def test_is_cached_and_unpacked(self):
        done = self.set_up()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("npm a-part 1.2.3 ... 3.0 MB", done.stdout)
        self.assertEqual(self.files_in_cache(), [self.cache / "npm/a-part-1.2.3.tgz"])
        self.assertEqual((self.parts / "data/data").stat().st_size, 3_000_000)

    def test_wrong_hash_is_refused_with_both_hashes(self):
        expected = "0" * 64
        done = self.set_up(sha256=expected)
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"expected {expected}, got {SHA256}", done.stderr)
        self.assertEqual(self.files_in_cache(), [])
        self.assertFalse((self.parts / "data").exists())

    def test_damaged_copy_in_the_cache_is_refused_with_both_hashes(self):
        (self.cache / "npm").mkdir(parents=True)
        (self.cache / "npm/a-part-1.2.3.tgz").write_bytes(SERVED[:-1])
        done = self.set_up()
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"expected {SHA256}, got {hashlib.sha256(SERVED[:-1]).hexdigest()}; remove", done.stderr)

    def test_works_from_the_cache_without_a_network(self):
        self.assertEqual(self.set_up().returncode, 0)
        shutil.rmtree(self.parts)
        self.unplug()
        done = self.set_up()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue((self.parts / "data/data").is_file())

    def test_says_so_without_network_and_cache(self):
        self.unplug()
        done = self.set_up()
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r"cannot fetch a-part@1\.2\.3, and it is not in the cache .*is the network up\?")
        self.assertEqual(self.files_in_cache(), [])

    def test_full_disk(self):
        self.cache.mkdir()
        done = self.set_up(mounts=f"mount -t tmpfs -o size=1m none {self.cache}")
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertRegex(done.stderr, r"no space left for .*VACCEL_CACHE")
        self.assertNotIn("Traceback", done.stderr)

    def test_full_disk_for_the_parts(self):
        self.parts.mkdir()
        done = self.set_up(mounts=f"mount -t tmpfs -o size=1m none {self.parts}")
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertRegex(done.stderr, r"cannot write .*/parts/data: No space left on device; .*VACCEL_PARTS")

    def test_read_only_cache(self):
        self.cache.mkdir()
        done = self.set_up(mounts=f"mount -t tmpfs -o ro none {self.cache}")
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertRegex(done.stderr, r"cannot write .*/cache: Read-only file system; .*VACCEL_CACHE")

    def test_cache_of_another_user(self):
        if os.geteuid() == 0:
            self.skipTest("root may write everywhere; test_read_only_cache shows the same there")
        self.cache.mkdir(mode=0o555)
        done = self.set_up()
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertRegex(done.stderr, r"cannot write .*/cache: Permission denied; make it writable .*VACCEL_CACHE")


if __name__ == "__main__":
    unittest.main()
