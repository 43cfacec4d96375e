#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""ONNX's own test data (Debian's libonnx-testdata) through an agent: whatever ONNX Runtime alone gets right, and whatever it
gets at all, must come out of the agent byte for byte the same. The others are listed with the reason.

    tests/conformance/test_onnx_conformance.py      # prints every case that did not pass, after it was built
"""

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import unittest
from collections import Counter
from pathlib import Path

TREE = Path(__file__).resolve().parents[2]
BIN = Path(os.environ.get("VACCEL_TEST_BIN", TREE / "build/bin"))
LIB = Path(os.environ.get("VACCEL_TEST_LIB", TREE / "build/lib"))
PROGRAM = Path(os.environ.get("VACCEL_TEST_PROGRAMS", TREE / "build/release/tests")) / "onnx_conformance"
CASES = Path("/usr/share/libonnx-testdata/data/node")
PATIENCE_SECONDS = 300
# ONNX Runtime keeps something of every model that it has had, so that a process has a share of them.
CASES_A_PROCESS = 40

# What ONNX Runtime 1.28 itself makes of the 932 cases of ONNX 1.12. Fewer would be a loss of its own, and more a reason to look.
LEAST_PASSED_ALONE = 850


def all_cases() -> dict[str, Path]:
    """The folder of each case, by a name that a model can have."""
    return {folder.name.lower(): folder for folder in sorted(CASES.iterdir()) if (folder / "model.onnx").is_file()}


def make_catalogue(folder: Path, cases: dict[str, Path]):
    """Each case's model under the case's name."""
    for name, case in cases.items():
        model = (case / "model.onnx").read_bytes()
        (folder / name).mkdir(parents=True)
        (folder / name / "model.onnx").write_bytes(model)
        (folder / name / "model.toml").write_text(
            f'name = "{name}"\ntask = "infer"\n[model]\nfile = "model.onnx"\nformat = "onnx"\n'
            f'sha256 = "{hashlib.sha256(model).hexdigest()}"\n')


class Agent:
    """A vacceld with a catalogue, until the end of the block."""

    def __init__(self, folder: Path):
        self.folder, self.endpoint = folder, f"unix:{folder / 'a.sock'}"

    def __enter__(self):
        config, ready = self.folder / "vaccel.toml", self.folder / "ready.sock"
        config.write_text(f'listen = ["{self.endpoint}"]\ncatalogue = "{self.folder / "catalogue"}"\n')
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notifications, open(self.folder / "log", "wb") as log:
            notifications.bind(str(ready))
            notifications.settimeout(PATIENCE_SECONDS)
            self.process = subprocess.Popen([BIN / "vacceld", "--config", config], stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, env=os.environ | {"NOTIFY_SOCKET": str(ready)})
            try:
                while b"READY=1" not in notifications.recv(4096).split(b"\n"):
                    pass
            except BaseException:
                self.__exit__()
                raise
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def outcomes(*arguments, cases: list[Path]) -> dict[str, dict]:
    """What the program says of each case. One that ends it is an outcome as well, and the others go on without it."""
    found, left = {}, list(cases)
    while left:
        done = subprocess.run([PROGRAM, *arguments, *left], capture_output=True, timeout=PATIENCE_SECONDS,
                              stdin=subprocess.DEVNULL)
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        found |= {line["case"]: line for line in lines}
        left = left[len(lines):]
        if done.returncode > 0:
            raise AssertionError(f"{PROGRAM} ended with {done.returncode}: {done.stderr.decode()}")
        if left:
            how = signal.Signals(-done.returncode).name if done.returncode < 0 else "nothing said"
            found[left[0].name] = {"case": left[0].name, "outcome": "failed", "reason": f"it ends the process ({how})"}
            left = left[1:]
    return found


def run_all() -> tuple[dict[str, dict], dict[str, dict]]:
    """What ONNX Runtime alone, and an agent, make of each case."""
    alone, through = {}, {}
    every = list(all_cases().items())
    for start in range(0, len(every), CASES_A_PROCESS):
        share = dict(every[start:start + CASES_A_PROCESS])
        with tempfile.TemporaryDirectory(prefix="vaccel-conformance-") as scratch:
            folder = Path(scratch)
            make_catalogue(folder / "catalogue", share)
            (folder / "cases").mkdir()
            for name, case in share.items():
                (folder / "cases" / name).symlink_to(case)
            cases = [folder / "cases" / name for name in share]
            alone |= outcomes("direct", LIB / "vaccel/backends/libonnxruntime.so", cases=cases)
            with Agent(folder) as agent:
                through |= outcomes("agent", agent.endpoint, cases=cases)
    return alone, through


@unittest.skipUnless(CASES.is_dir(), f"{CASES} is not there; Debian's libonnx-testdata has it")
@unittest.skipUnless(PROGRAM.is_file(), f"{PROGRAM} is not built")
class OnnxNodes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.alone, cls.through = run_all()

    def test_all_cases_were_run(self):
        self.assertEqual(len(all_cases()), sum(1 for folder in CASES.iterdir() if (folder / "model.onnx").is_file()))
        self.assertEqual(sorted(self.alone), sorted(all_cases()))
        self.assertEqual(sorted(self.through), sorted(all_cases()))
        self.assertGreaterEqual(Counter(one["outcome"] for one in self.alone.values())["passed"], LEAST_PASSED_ALONE)

    def test_what_passes_alone_passes_through_the_agent(self):
        lost = {name: self.through[name] for name, one in self.alone.items()
                if one["outcome"] == "passed" and self.through[name]["outcome"] != "passed"}
        self.assertEqual(lost, {})

    def test_results_are_the_same_byte_for_byte(self):
        different = {name: (one["result"], self.through[name].get("result")) for name, one in self.alone.items()
                     if one["outcome"] == "passed" and self.through[name].get("result") != one["result"]}
        self.assertEqual(different, {})

    def test_what_fails_says_why(self):
        for name, one in self.through.items():
            if one["outcome"] in ("failed", "unsupported"):
                self.assertTrue(one.get("reason"), name)


def main():
    alone, through = run_all()
    for title, found in (("ONNX Runtime alone", alone), ("through the agent", through)):
        print(f"{title}: {dict(Counter(one['outcome'] for one in found.values()))}")
    for name in sorted(through):
        if through[name]["outcome"] != "passed":
            print(f"{name}: {through[name]['outcome']}: {through[name].get('reason', 'another result than ONNX expects')}")


if __name__ == "__main__":
    sys.exit(main())
