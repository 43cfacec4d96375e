# SPDX-License-Identifier: Apache-2.0
"""Counts the results of real programs that a real ctest ran."""

import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from ctest_results import read_junit

GTEST = r"""
#include <gtest/gtest.h>
#include <cstdlib>
TEST(Cases, Passes) {}
TEST(Cases, AlsoPasses) {}
TEST(Cases, Fails) { EXPECT_EQ(1, 2); }
TEST(Cases, IsSkipped) { GTEST_SKIP() << "there is no flux capacitor"; }
TEST(Cases, Crashes) { std::abort(); }
class Many : public testing::TestWithParam<int> {};
TEST_P(Many, Passes) {}
INSTANTIATE_TEST_SUITE_P(Numbers, Many, testing::Values(1, 2, 3));
"""
UNITTEST = '''
import unittest
class Cases(unittest.TestCase):
    def test_passes(self): pass
    @unittest.skip("no network")
    def test_skipped(self): pass
    def test_with_words(self):
        """Has a docstring."""
        self.skipTest("it's late")
    def test_fails(self): self.fail()
    def test_errs(self): raise OSError()
class SkippedClass(unittest.TestCase):
    @classmethod
    def setUpClass(cls): raise unittest.SkipTest("not today")
    def test_never(self): pass
class FailingClass(unittest.TestCase):
    @classmethod
    def setUpClass(cls): raise OSError()
    def test_never(self): pass
if __name__ == "__main__":
    unittest.main(verbosity=2)
'''
PROJECT = """
cmake_minimum_required(VERSION 3.25)
project(counted LANGUAGES CXX)
find_package(GTest REQUIRED)
add_executable(cases cases.cpp)
target_link_libraries(cases GTest::gtest_main)
enable_testing()
add_test(NAME passing COMMAND cases --gtest_filter=*Passes*)
add_test(NAME mixed COMMAND cases --gtest_filter=-*Crashes)
add_test(NAME skipped COMMAND cases --gtest_filter=*IsSkipped)
add_test(NAME crashing COMMAND cases --gtest_filter=*Passes*:*Crashes)
add_test(NAME python COMMAND /usr/bin/python3 ${CMAKE_SOURCE_DIR}/cases.py)
add_test(NAME python-passing COMMAND /usr/bin/python3 ${CMAKE_SOURCE_DIR}/cases.py -k test_passes)
add_test(NAME plain COMMAND true)
add_test(NAME plain-failing COMMAND false)
add_test(NAME plain-skipped COMMAND sh -c "echo no KVM here; exit 77")
set_tests_properties(plain-skipped PROPERTIES SKIP_RETURN_CODE 77)
add_test(NAME absent COMMAND ${CMAKE_BINARY_DIR}/no-such-program)
add_test(NAME slow COMMAND sleep 60)
set_tests_properties(slow PROPERTIES TIMEOUT 1)
"""


@unittest.skipUnless(shutil.which("ctest") and Path("/usr/include/gtest/gtest.h").exists(),
                     "cmake or GoogleTest is not installed")
class Counts(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.source = Path(folder.name)
        (cls.source / "CMakeLists.txt").write_text(PROJECT)
        (cls.source / "cases.cpp").write_text(GTEST)
        (cls.source / "cases.py").write_text(UNITTEST)
        cls.build = cls.source / "build"
        subprocess.run(["cmake", "-G", "Ninja", "-S", cls.source, "-B", cls.build], check=True, capture_output=True)
        subprocess.run(["cmake", "--build", cls.build], check=True, capture_output=True)

    def results_of(self, names: str):
        junit = self.build / "results.xml"
        subprocess.run(["ctest", "--test-dir", self.build, "-R", f"^({names})$", "--output-junit", junit,
                        "--test-output-size-passed", "1000000", "--test-output-size-failed", "1000000"],
                       capture_output=True)
        return read_junit(junit)

    def check(self, name: str, passed: int, failed: list[str], skipped: list[tuple[str, str]]):
        results = self.results_of(name)
        self.assertEqual((results.passed, sorted(results.failed), sorted(results.skipped)), (passed, failed, skipped))

    def test_gtest(self):
        self.check("passing", 5, [], [])
        self.check("mixed", 5, ["mixed: Cases.Fails"], [("mixed: Cases.IsSkipped", "there is no flux capacitor")])
        self.check("skipped", 0, [], [("skipped: Cases.IsSkipped", "there is no flux capacitor")])

    def test_a_crash_is_a_failure(self):
        results = self.results_of("crashing")
        self.assertEqual(len(results.failed), 1)
        self.assertIn("crashing (the program itself:", results.failed[0])

    def test_unittest(self):
        self.check("python", 1, ["python: setUpClass (__main__.FailingClass)", "python: test_errs (__main__.Cases.test_errs)",
                                "python: test_fails (__main__.Cases.test_fails)"],
                   [("python: setUpClass", "not today"), ("python: test_skipped", "no network"),
                    ("python: test_with_words", "it's late")])
        self.check("python-passing", 1, [], [])

    def test_other_programs(self):
        self.check("plain", 1, [], [])
        self.check("plain-skipped", 0, [], [("plain-skipped", "no KVM here")])
        self.assertEqual(len(self.results_of("plain-failing").failed), 1)

    def test_what_did_not_run_or_end_failed(self):
        for name in ("absent", "slow"):
            results = self.results_of(name)
            self.assertEqual((results.passed, len(results.failed), results.skipped), (0, 1, []), name)

    def test_adds_up(self):
        results = self.results_of("passing|mixed|plain|plain-skipped|python")
        self.assertEqual((results.passed, len(results.failed), len(results.skipped)), (12, 4, 5))


if __name__ == "__main__":
    unittest.main()
