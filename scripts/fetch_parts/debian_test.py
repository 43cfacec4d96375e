# SPDX-License-Identifier: Apache-2.0
import contextlib
import io
import os
import shutil
import tempfile
import unittest
from pathlib import Path

from fetch_parts.archives_for_tests import make_debian_package, publish
from fetch_parts.cache import Cache
from fetch_parts.debian import Package, fetch_all
from fetch_parts.report import SetupError
from fetch_parts.unpack import extract


class FetchedPackage(unittest.TestCase):
    SUITE = "faraway"

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = Path(folder.name)
        cls.folder.chmod(0o755)
        cls.archive, cls.etc_apt = cls.folder / "archive", cls.folder / "etc"
        cls.archive.mkdir()
        make_debian_package(cls.archive, "a-kernel-6.1.0-9", "6.1.9-1", {"boot/vmlinuz-6.1.0-9": b"kernel",
                            "lib/modules/6.1.0-9/kernel/a.ko": b"a", "lib/modules/6.1.0-9/modules.order": b"order"})
        make_debian_package(cls.archive, "a-kernel", "6.1.9-1", {},
                            depends="libc6 (>= 2), a-kernel-6.1.0-9 (= 6.1.9-1)")
        publish(cls.archive, cls.SUITE, cls.etc_apt)

    def setUp(self):
        self.cache = Cache(Path(tempfile.mkdtemp(dir=self.folder)) / "cache")

    def fetch(self, *packages: Package, etc_apt: Path | None = None) -> str:
        with contextlib.redirect_stdout(io.StringIO()) as said:
            fetch_all(list(packages), self.cache, etc_apt or self.etc_apt)
        return said.getvalue()

    def test_dependency_of_a_meta_package(self):
        kernel = Package("a-kernel", self.SUITE, "a-kernel-6.1.*")
        said = self.fetch(kernel)
        path = kernel.cached(self.cache)
        self.assertEqual(path.name.split("_")[:2], ["a-kernel-6.1.0-9", "6.1.9-1"])
        self.assertIn(path.name, said)
        target = self.cache.folder.parent / "kernel"
        extract(path, {"vmlinuz": "boot/vmlinuz-*", "modules/": "lib/modules/*/"}, target)
        self.assertEqual((target / "vmlinuz").read_bytes(), b"kernel")
        self.assertEqual((target / "modules/kernel/a.ko").read_bytes(), b"a")
        self.assertEqual((target / "modules/modules.order").read_bytes(), b"order")

    def test_second_time_asks_nobody(self):
        package = Package("a-kernel", self.SUITE)
        self.fetch(package)
        self.assertEqual(self.fetch(package, etc_apt=self.folder / "nowhere"), "")

    def test_leaves_nothing_but_the_package(self):
        self.fetch(Package("a-kernel", self.SUITE))
        names = sorted(path.suffix for path in self.cache.folder.rglob("*") if path.is_file())
        self.assertEqual(names, [".deb", ".sha256"])

    def test_unknown_package(self):
        with self.assertRaisesRegex(SetupError, "no-such-package.*not in the cache"):
            self.fetch(Package("no-such-package", self.SUITE))

    def test_unknown_suite(self):
        with self.assertRaisesRegex(SetupError, "cannot fetch"):
            self.fetch(Package("a-kernel", "no-such-suite"))

    def test_other_dependencies_are_named(self):
        with self.assertRaisesRegex(SetupError, "depends on libc6, a-kernel-6.1.0-9; expected one package like .*7.1"):
            self.fetch(Package("a-kernel", self.SUITE, "a-kernel-7.1.*"))

    def test_damaged_copy_in_the_cache(self):
        package = Package("a-kernel", self.SUITE)
        self.fetch(package)
        path = package.cached(self.cache)
        path.write_bytes(path.read_bytes()[:-1])
        with self.assertRaisesRegex(SetupError, "wrong SHA-256: expected [0-9a-f]{64}, got [0-9a-f]{64}; remove it"):
            package.cached(self.cache)

    @unittest.skipUnless(os.geteuid() == 0, "not root: the other tests show the same")
    def test_needs_no_root(self):
        # Everything again as a user who may write to his cache alone.
        child = os.fork()
        if child == 0:
            status = 1
            try:
                home = Path(tempfile.mkdtemp(dir=self.folder))
                home.chmod(0o755)
                os.chown(home, 65534, 65534)
                self.folder.chmod(0o755)
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
                os.environ["HOME"] = str(home)
                self.cache = Cache(home / "cache")
                package = Package("a-kernel", self.SUITE)
                self.fetch(package)
                status = 0 if package.cached(self.cache) else 2
            finally:
                os._exit(status)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 0)


@unittest.skipUnless(shutil.which("dpkg-deb"), "dpkg-deb is not installed")
class DamagedPackage(unittest.TestCase):
    def test_truncated(self):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            make_debian_package(folder, "big", "1", {"usr/share/big/data": os.urandom(1_000_000)})
            (package,) = folder.glob("*.deb")
            package.write_bytes(package.read_bytes()[:500_000])
            with self.assertRaisesRegex(SetupError, "big_.*deb.*(cannot|read).*remove it"):
                extract(package, {"data": "usr/share/big/data"}, folder / "out")


if __name__ == "__main__":
    unittest.main()
