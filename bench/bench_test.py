# SPDX-License-Identifier: Apache-2.0
"""Runs every section for a moment, and checks the form of what vaccel-bench prints: the numbers are not looked at."""

import json
import math
import os
import subprocess
import unittest

BENCH = os.path.join(os.environ["VACCEL_TEST_BIN"], "vaccel-bench")
SECTIONS = ("local", "call", "classify")
KEYS = {"section", "case", "unit", "ours", "beside", "beside_name", "ratio", "goal", "holds"}


def run(*arguments):
    return subprocess.run([BENCH, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)


class BenchTest(unittest.TestCase):
    def test_all_sections_have_rows_of_the_one_form(self):
        ran = run("all", "--quick", "--json")
        self.assertEqual(ran.returncode, 0, ran.stderr)
        found = json.loads(ran.stdout)
        self.assertEqual(found["section"], "all")
        self.assertEqual(set(found["machine"]), {"cpu", "cores", "kernel", "compiler", "date", "load_average"})
        for section in SECTIONS:
            self.assertTrue([row for row in found["rows"] if row["section"] == section], f"no row of {section}")
        names = [(row["section"], row["case"]) for row in found["rows"]]
        self.assertEqual(len(names), len(set(names)), "a case is there twice")
        for row in found["rows"]:
            with self.subTest(case=row["case"]):
                self.check_row(row)

    def check_row(self, row):
        self.assertLessEqual(KEYS, set(row))
        self.assertIn(row["unit"], ("ns", "us", "ms", "calls/s"))
        self.assertTrue(math.isfinite(row["ours"]))
        self.assertEqual(row["beside"] is None, row["ratio"] is None)
        self.assertEqual(row["beside"] is None, row["beside_name"] is None)
        if row["beside"] is not None:
            self.assertGreater(row["beside"], 0)
        self.assertEqual(row["goal"] is None, row["holds"] is None)
        if row["goal"] is not None:
            self.assertRegex(row["goal"], r"^<= (\+?[\d.]+ (ns|us|ms)|[\d.]+x)$")
            self.assertIn(row["holds"], (True, False))

    def test_one_section_as_a_table(self):
        ran = run("local", "--quick")
        self.assertEqual(ran.returncode, 0, ran.stderr)
        lines = ran.stdout.splitlines()
        self.assertEqual(lines[1].split(), ["case", "unit", "ours", "beside", "beside_name", "ratio", "goal", "holds"])
        self.assertTrue(any(line.startswith("no-op call ") for line in lines), ran.stdout)
        self.assertNotIn("-- call", ran.stdout)

    def test_what_cannot_run_is_told_and_the_rest_is_printed(self):
        ran = run("local", "--quick", "--json", "--catalogue", "/nonexistent/catalogue")
        self.assertEqual(ran.returncode, 1)
        self.assertIn("/nonexistent/catalogue", ran.stderr)
        self.assertIn("no-op call", [row["case"] for row in json.loads(ran.stdout)["rows"]])

    def test_wrong_arguments_are_refused(self):
        self.assertEqual(run("no-such-section").returncode, 2)
        self.assertEqual(run("local", "--seconds", "-1").returncode, 2)


if __name__ == "__main__":
    unittest.main()
