# SPDX-License-Identifier: Apache-2.0
"""Runs ./test in a small project of its own: what it prints at the end and how it exits."""

import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parent
PROJECT = """
cmake_minimum_required(VERSION 3.25)
project(small LANGUAGES NONE)
enable_testing()
add_test(NAME good COMMAND true)
add_test(NAME bad COMMAND sh -c "exit $(cat bad)")
add_test(NAME absent COMMAND sh -c "echo no KVM here; exit 77")
set_tests_properties(absent PROPERTIES SKIP_RETURN_CODE 77)
add_test(NAME whole COMMAND true)
set_tests_properties(whole PROPERTIES LABELS integration)
set_tests_properties(good bad absent PROPERTIES LABELS unit WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
"""
PRESETS = """{"version": 6, "configurePresets": [
  {"name": "release", "generator": "Ninja", "binaryDir": "${sourceDir}/build/release"}]}"""


@unittest.skipUnless(shutil.which("ctest") and shutil.which("ninja"), "cmake or ninja is not installed")
class Stages(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.tree = Path(folder.name)
        shutil.copytree(SCRIPTS, self.tree / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(SCRIPTS.parent / "test", self.tree)
        shutil.copy(SCRIPTS.parent / ".clang-format", self.tree)
        (self.tree / "CMakeLists.txt").write_text(PROJECT)
        (self.tree / "CMakePresets.json").write_text(PRESETS)
        (self.tree / "bad").write_text("0")

    def run_stages(self, *arguments) -> subprocess.CompletedProcess:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("VACCEL_")}
        return subprocess.run([self.tree / "test", *arguments], env=environment, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=120)

    def check(self, done: subprocess.CompletedProcess, code: int, closing: str):
        self.assertEqual(done.stdout.splitlines()[-1], closing, done.stdout + done.stderr)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)

    def test_all_well(self):
        done = self.run_stages("--only", "unit", "--only", "integration")
        self.check(done, 0, "3 passed, 0 failed, 1 skipped")
        self.assertIn("skipped: absent: no KVM here\n", done.stdout)
        self.assertRegex(done.stdout, r"\nunit +[\d.]+ +2 +0 +1\nintegration +[\d.]+ +1 +0 +0\n")

    def test_a_failure_ends_it(self):
        (self.tree / "bad").write_text("3")
        done = self.run_stages("--only", "unit", "--only", "integration")
        self.check(done, 1, "1 passed, 1 failed, 1 skipped")
        self.assertRegex(done.stdout, r"\nintegration +not run\n")
        self.assertIn("failed: bad (the program itself: ", done.stdout)

    def test_keep_going(self):
        (self.tree / "bad").write_text("3")
        self.check(self.run_stages("--only", "unit", "--only", "integration", "--keep-going"), 1,
                   "2 passed, 1 failed, 1 skipped")

    def test_filter(self):
        self.check(self.run_stages("--only", "unit", "--filter", "^good$"), 0, "1 passed, 0 failed, 0 skipped")

    def test_what_cannot_be_built_failed(self):
        with open(self.tree / "CMakeLists.txt", "a") as file:
            file.write('add_custom_target(broken ALL COMMAND sh -c "echo it is broken; exit 1")\n')
        done = self.run_stages("--only", "unit")
        self.check(done, 1, "0 passed, 1 failed, 0 skipped")
        self.assertIn("it is broken", done.stdout)
        self.assertIn("failed: stage unit", done.stdout)

    def test_changed_presets_are_configured_again(self):
        self.check(self.run_stages("--only", "integration"), 0, "1 passed, 0 failed, 0 skipped")
        (self.tree / "CMakePresets.json").write_text(PRESETS.replace(
            '"binaryDir"', '"cacheVariables": {"SET_BY_PRESET": "yes"}, "binaryDir"'))
        self.check(self.run_stages("--only", "integration"), 0, "1 passed, 0 failed, 0 skipped")
        self.assertIn("SET_BY_PRESET:UNINITIALIZED=yes", (self.tree / "build/release/CMakeCache.txt").read_text())

    @unittest.skipUnless(shutil.which("clang-format-14"), "clang-format-14 is not installed")
    def test_format(self):
        source = self.tree / "src/room/a.cpp"
        source.parent.mkdir(parents=True)
        source.write_text("int  a ;\n")
        done = self.run_stages("--only", "format")
        self.check(done, 1, "0 passed, 1 failed, 0 skipped")
        self.assertIn("failed: format of src/room/a.cpp", done.stdout)
        source.write_text("int a;\n")
        self.check(self.run_stages("--only", "format"), 0, "1 passed, 0 failed, 0 skipped")

    def test_unknown_stage(self):
        done = self.run_stages("--only", "everything")
        self.assertEqual(done.returncode, 2)
        self.assertIn("invalid choice: 'everything'", done.stderr)


if __name__ == "__main__":
    unittest.main()
