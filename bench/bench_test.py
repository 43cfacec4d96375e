# SPDX-License-Identifier: Apache-2.0
"""Runs every section for a moment, and checks the form of what vaccel-bench prints: the numbers are not looked at."""

import functools
import json
import math
import os
import shutil
import subprocess
import tempfile
import unittest
import xml.etree.ElementTree as ElementTree
from pathlib import Path

BENCH = os.path.join(os.environ["VACCEL_TEST_BIN"], "vaccel-bench")
PLOT = Path(__file__).resolve().parent / "plot"
SECTIONS = ("local", "call", "classify", "operators", "tenants", "fairness", "sessions", "kills", "hostile", "soak", "channel")
KEYS = {"section", "case", "unit", "ours", "beside", "beside_name", "ratio", "goal", "holds"}
PAYLOADS = (64, 4_000, 150_000, 600_000, 5_000_000, 64_000_000)


def run(*arguments):
    return subprocess.run([BENCH, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600)


@functools.cache
def everything():
    ran = run("all", "--quick", "--json")
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


class BenchTest(unittest.TestCase):
    def test_all_sections_have_rows_of_the_one_form(self):
        found = json.loads(everything())
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
        self.assertIn(row["unit"], ("ns", "us", "ms", "calls/s", "count", "KiB", "B/s"))
        self.assertTrue(math.isfinite(row["ours"]))
        self.assertEqual(row["beside"] is None, row["beside_name"] is None)
        if row["beside"] is not None:
            if row["unit"] not in ("count", "KiB"):  # of which there may be none
                self.assertGreater(row["beside"], 0)
                self.assertIsNotNone(row["ratio"])
        else:
            self.assertIsNone(row["ratio"])
        self.assertEqual(row["goal"] is None, row["holds"] is None)
        if row["goal"] is not None:
            self.assertRegex(row["goal"], r"^(<= (\+?[\d.]+ (ns|us|ms|count|KiB|B/s)|[\d.]+x)|>= [\d.]+x|1x \+-[\d.]+%)$")
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


class KillsTest(unittest.TestCase):
    def test_kills_leave_nothing_and_no_answer_is_wrong(self):
        rows = {row["case"]: row for row in json.loads(everything())["rows"] if row["section"] == "kills"}
        self.assertEqual(rows["kills"]["ours"], 10)
        self.assertGreater(rows["right answers meanwhile"]["ours"], 0)
        for case, row in rows.items():
            if row["unit"] == "count" and row["goal"] is not None:
                self.assertEqual(row["ours"], 0, case)


class OperatorsTest(unittest.TestCase):
    # Case without the way, what is called directly; None: it is part of the program itself.
    PEERS = {
        "infer mobilenet": ("OrtRun", None),
        "infer mobilenet-tflite": ("TfLiteInterpreterInvoke", "tflite"),
        "infer mobilenet-torchscript": ("Module::forward", "torch"),
        "infer mobilenet-opset10": ("Net::forward", "opencv"),
        "gemm 1024^3, float32, opencl": ("CLBlastSgemm", "opencl"),
    }

    def test_every_framework_is_measured_both_ways_or_its_absence_is_told(self):
        found = json.loads(everything())
        rows = {row["case"]: row for row in found["rows"] if row["section"] == "operators"}
        skipped = {one["case"]: one["reason"] for one in found["skipped"] if one["section"] == "operators"}
        for case, (call, _) in self.PEERS.items():
            with self.subTest(case=case):
                if case in (told := self.told_as(skipped)):
                    self.skipTest(f"{case}: {told[case]}")
                ways = [name for name in rows if name.rsplit(", ", 1)[0] == case]
                self.assertEqual(len(ways), 2, ways)
                for name in ways:
                    self.assertEqual(rows[name]["beside_name"], call)

    def told_as(self, skipped):
        names = {case: case.removeprefix("infer ").replace(" 1024^3, float32", "") for case in self.PEERS}
        return {case: skipped[name] for case, name in names.items() if name in skipped}

    def test_a_peer_that_is_absent_is_told_and_the_rest_is_measured(self):
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "libvaccel-bench-torch.so").write_bytes(b"not a library")
            ran = run("operators", "--quick", "--json", "--peers", folder)
        self.assertEqual(ran.returncode, 0, ran.stderr)
        found = json.loads(ran.stdout)
        told = self.told_as({one["case"]: one["reason"] for one in found["skipped"]})
        for case, (_, library) in self.PEERS.items():
            if library is not None:
                file = f"libvaccel-bench-{library}.so"
                self.assertIn(file if library == "torch" else f"{file} is not built", told[case])
        self.assertNotIn("not built", told["infer mobilenet-torchscript"])
        self.assertIn("infer mobilenet, in process", [row["case"] for row in found["rows"]])


class ChannelTest(unittest.TestCase):
    def setUp(self):
        found = json.loads(everything())
        self.skipped = {one["case"]: one["reason"] for one in found["skipped"] if one["section"] == "channel"}
        self.latencies = [one for one in found["latencies"] if one["section"] == "channel"]

    def payloads_of(self, path):
        if path in self.skipped:
            self.skipTest(f"{path}: {self.skipped[path]}")
        return sorted(one["bytes"] for one in self.latencies if one["path"] == path)

    def test_paths_that_sleep_and_floors_have_every_payload(self):
        for path in ("unix inline", "unix window", "unix window, copied", "ring sleeping", "raw socket", "memcpy"):
            self.assertEqual(self.payloads_of(path), list(PAYLOADS), path)

    def test_paths_that_spin_have_every_payload(self):
        self.assertEqual(self.payloads_of("ring spinning"), list(PAYLOADS))
        self.assertEqual(self.payloads_of("ring spinning, copied"), list(PAYLOADS))
        self.assertEqual(self.payloads_of("raw spin exchange"), [64])

    def test_grpc_stands_beside_every_payload(self):
        self.assertEqual(self.payloads_of("gRPC"), list(PAYLOADS))

    def test_latencies_are_times(self):
        for one in self.latencies:
            with self.subTest(path=one["path"], bytes=one["bytes"]):
                self.assertEqual(one["unit"], "us")
                self.assertTrue(0 < one["p10"] <= one["p50"] <= one["p99"], one)
                self.assertGreater(one["samples"], 0)

    def test_on_one_cpu_nothing_spins(self):
        ran = run("channel", "--quick", "--one-cpu", "--json")
        self.assertEqual(ran.returncode, 0, ran.stderr)
        found = json.loads(ran.stdout)
        skipped = {one["case"]: one["reason"] for one in found["skipped"]}
        for path in ("ring spinning", "ring spinning, copied"):
            self.assertIn("one CPU", skipped[path])
            self.assertFalse([one for one in found["latencies"] if one["path"] == path])
        self.assertTrue([one for one in found["latencies"] if one["path"] == "ring sleeping"])


class VmTest(unittest.TestCase):
    def test_every_payload_takes_every_path(self):
        found = json.loads(everything())
        skipped = [one["reason"] for one in found["skipped"] if one["section"] == "vm"]
        if skipped:
            self.skipTest(skipped[0])
        taken = {(one["path"], one["bytes"]) for one in found["latencies"] if one["section"] == "vm"}
        paths = ("guest, window", "guest, copied", "guest, inline")
        self.assertEqual(taken, {(path, size) for path in paths for size in PAYLOADS[:-1]})
        goals = [row["case"] for row in found["rows"] if row["section"] == "vm" and row["goal"] is not None]
        self.assertEqual(len(goals), 1)
        self.assertRegex(goals[0], "^600 KB in the window")


def plot(json_text, *arguments):
    return subprocess.run([PLOT, *arguments], input=json_text, capture_output=True, text=True, timeout=60)


class PlotTest(unittest.TestCase):
    def setUp(self):
        if shutil.which("gnuplot") is None:
            self.skipTest("gnuplot is not there; scripts/setup --for test installs it")

    def test_draws_a_line_a_path(self):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "channel.svg"
            drawn = plot(everything(), "--section", "channel", "--output", file)
            self.assertEqual((drawn.returncode, drawn.stdout, drawn.stderr), (0, "", ""))
            svg = ElementTree.fromstring(file.read_text(encoding="utf-8"))
        texts = {text.strip() for element in svg.iter("{http://www.w3.org/2000/svg}text") for text in element.itertext()}
        paths = {one["path"] for one in json.loads(everything())["latencies"] if one["section"] == "channel"}
        self.assertLessEqual(paths | {"64 B", "64 MB", "payload of a call"}, texts)

    def test_what_cannot_be_drawn_is_said(self):
        for given, sentence in (("{", "not what 'vaccel-bench --json' prints"),
                                ('{"latencies": []}', "there are no latencies")):
            drawn = plot(given)
            self.assertEqual((drawn.returncode, drawn.stdout), (1, ""))
            self.assertIn(sentence, drawn.stderr)


if __name__ == "__main__":
    unittest.main()
