# SPDX-License-Identifier: Apache-2.0
"""deploy/prometheus and deploy/grafana: promtool accepts them, and they name metrics that an agent has."""

import json
import os
import pathlib
import re
import socket
import subprocess
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("VACCEL_TEST_BIN", ROOT / "build/bin"))
PROMTOOL = pathlib.Path(os.environ.get("VACCEL_TEST_PARTS", ROOT / "build/parts")) / "promtool/promtool"
PROMETHEUS = ROOT / "deploy/prometheus"
DASHBOARD = ROOT / "deploy/grafana/vaccel.json"
SUFFIXES = {"histogram": ("_bucket", "_sum", "_count"), "counter": ("",), "gauge": ("",)}


def get(path: pathlib.Path, what: str) -> str:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(str(path))
        client.sendall(f"GET {what} HTTP/1.0\r\n\r\n".encode())
        answer = b""
        while piece := client.recv(65536):
            answer += piece
    return answer.decode()


def metrics_of_an_agent() -> set[str]:
    """The names of all series that an agent may have."""
    with tempfile.TemporaryDirectory(prefix="vaccel-monitoring-", dir="/tmp") as folder:
        metrics = pathlib.Path(folder) / "metrics.sock"
        agent = subprocess.Popen([BIN / "vacceld", "--listen", f"unix:{folder}/agent.sock", "--metrics", f"unix:{metrics}",
                                  "--log", "error"])
        try:
            deadline = time.monotonic() + 30
            while not metrics.exists() and time.monotonic() < deadline:
                time.sleep(0.05)
            text = get(metrics, "/metrics")
        finally:
            agent.terminate()
            agent.wait(30)
    types = re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE)
    return {name + suffix for name, kind in types for suffix in SUFFIXES[kind]}


def expressions() -> list[str]:
    rules = re.findall(r"^\s+expr: (?:>-\n)?((?:.*\n(?:\s{10,}.*\n)?)+?)(?=\s+(?:for|labels|- )|$)",
                       (PROMETHEUS / "vaccel.rules.yml").read_text(encoding="utf-8"), re.MULTILINE)
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    panels = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    return rules + panels + [one["query"] for one in dashboard["templating"]["list"]]


class Monitoring(unittest.TestCase):
    def promtool(self, *arguments: str) -> None:
        if not PROMTOOL.exists():
            self.skipTest(f"no {PROMTOOL}: scripts/setup --for test brings it")
        done = subprocess.run([PROMTOOL, *arguments], cwd=PROMETHEUS, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=60, check=False)
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_rules_are_rules(self):
        self.promtool("check", "rules", "vaccel.rules.yml")
        self.promtool("check", "config", "prometheus.yml")

    def test_alerts_fire_when_they_should(self):
        self.promtool("test", "rules", "vaccel.rules.test.yml")

    def test_every_metric_exists(self):
        if not (BIN / "vacceld").exists():
            self.skipTest(f"no vacceld in {BIN}")
        known = metrics_of_an_agent()
        named = {name for text in expressions() for name in re.findall(r"\b(?:vaccel|process)_\w+", text)}
        self.assertGreater(len(named), 20, named)
        self.assertEqual(named - known, set())

    def test_every_metric_is_documented(self):
        if not (BIN / "vacceld").exists():
            self.skipTest(f"no vacceld in {BIN}")
        text = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
        known = {re.sub(r"_(bucket|sum|count)$", "", name) for name in metrics_of_an_agent()}
        missing = {name for name in known if not name.startswith("process_") and f"`{name}`" not in text}
        self.assertEqual(missing, set())

    def test_panels_do_not_overlap(self):
        taken = set()
        for panel in json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]:
            place = panel["gridPos"]
            self.assertLessEqual(place["x"] + place["w"], 24, panel["title"])
            cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
            self.assertFalse(cells & taken, panel["title"])
            taken |= cells


if __name__ == "__main__":
    unittest.main()
