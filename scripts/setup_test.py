# SPDX-License-Identifier: Apache-2.0
import os
import shutil
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

from fetch_parts.places import parts_folder

SCRIPTS = Path(__file__).resolve().parent


def run_setup(*arguments: str, scripts: Path = SCRIPTS, before=(), **variables) -> subprocess.CompletedProcess:
    return subprocess.run([*before, scripts / "setup", *arguments], env=os.environ | variables,
                          stdin=subprocess.DEVNULL, start_new_session=True, capture_output=True, text=True, timeout=300)


class CommandLine(unittest.TestCase):
    def test_help(self):
        done = run_setup("--help")
        self.assertEqual(done.returncode, 0)
        for word in ("build", "demo", "vm", "test", "VACCEL_CACHE", "VACCEL_PARTS"):
            self.assertIn(word, done.stdout)

    def test_unknown_goal(self):
        done = run_setup("--for", "everything")
        self.assertEqual(done.returncode, 1)
        self.assertIn("--for takes build, demo, vm, test or all, not 'everything'", done.stderr)

    def test_unknown_option(self):
        done = run_setup("--fast")
        self.assertEqual(done.returncode, 2)
        self.assertIn("usage:", done.stderr)


class MachineThatIsSetUp(unittest.TestCase):
    def test_says_nothing_within_a_second(self):
        if not (parts_folder() / "photos").is_dir():
            self.skipTest("this machine is not set up; scripts/setup does it")
        seconds = []
        for _ in range(3):
            started = time.monotonic()
            done = run_setup("--for", "build")
            seconds.append(time.monotonic() - started)
            self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
        self.assertLess(min(seconds), 1)


class MissingPackage(unittest.TestCase):
    """A list that names a package which no archive has, so that nothing can be installed by mistake."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        os.chmod(folder.name, 0o755)
        self.scripts = Path(folder.name) / "tree/scripts"
        shutil.copytree(SCRIPTS, self.scripts, ignore=shutil.ignore_patterns("__pycache__"))
        (self.scripts / "packages/build.txt").write_text("g++  # a comment\nvaccel-no-such-package\n")

    def test_without_root_and_sudo_it_names_the_command(self):
        # A PATH without sudo; as another user where this one is root.
        tools = self.scripts.parent / "bin"
        tools.mkdir()
        for name in ("bash", "env", "dirname", "sed", "sort", "comm", "dpkg-query", "apt-get", "cat"):
            (tools / name).symlink_to(shutil.which(name))
        drop = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
        done = run_setup("--for", "build", scripts=self.scripts, before=drop and [shutil.which(drop[0]), *drop[1:]],
                         PATH=str(tools))
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertEqual(done.stderr, "setup: error: not root, and no sudo. "
                                      "As root, run: apt-get install vaccel-no-such-package\n")

    def test_what_cannot_be_installed_is_an_error_with_apts_own_words(self):
        # apt with sources of its own, which hold nothing: no archive is asked.
        empty = self.scripts.parent / "apt.conf"
        empty.write_text('Dir::Etc::sourcelist "/dev/null";\nDir::Etc::sourceparts "/dev/null";\n'
                         f'Dir::State::lists "{self.scripts.parent}/lists";\nDir::Cache "{self.scripts.parent}/cache";\n')
        if os.geteuid() != 0:
            self.skipTest("not root: sudo would be asked")
        done = run_setup("--for", "build", scripts=self.scripts, APT_CONFIG=str(empty), TMPDIR=str(self.scripts.parent))
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn("Unable to locate package vaccel-no-such-package", done.stderr)
        self.assertIn("apt-get cannot install: vaccel-no-such-package.", done.stderr)


if __name__ == "__main__":
    unittest.main()
