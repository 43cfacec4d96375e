# SPDX-License-Identifier: Apache-2.0
"""The tool vaccelctl as an operator types it: what it prints for people and for scripts, and its exit codes. What the agent does
with it is in tests/integration/vm_attach_test.cpp."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import tempfile
import termios
import time
import unittest
from pathlib import Path

TREE = Path(__file__).resolve().parents[2]
BIN = Path(os.environ.get("VACCEL_TEST_BIN", TREE / "build/bin"))
PATIENCE_SECONDS = 60
NOBODY = 65534

for program in ("vaccelctl", "vacceld", "vaccel-worker", "vaccel"):
    if not (BIN / program).is_file():
        raise unittest.SkipTest(f"{BIN} has no {program}; build it first")


def run(*arguments, **options) -> subprocess.CompletedProcess:
    return subprocess.run([BIN / "vaccelctl", *map(str, arguments)], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                          timeout=PATIENCE_SECONDS, **options)


class LiveTop:
    """vaccelctl top on a terminal of its own: what it shows, and keys for it."""

    def __init__(self, *arguments, rows: int = 24, columns: int = 100):
        self.ours, self.theirs = pty.openpty()
        self.set_size(rows, columns)
        self.before = termios.tcgetattr(self.theirs)
        self.shown = b""
        self.process = subprocess.Popen([BIN / "vaccelctl", *map(str, arguments)], stdin=self.theirs, stdout=self.theirs,
                                        stderr=subprocess.PIPE, env=os.environ | {"TERM": "xterm"})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait(PATIENCE_SECONDS)
        self.process.stderr.close()
        self.hang_up()
        os.close(self.theirs)

    def hang_up(self):
        if self.ours >= 0:
            os.close(self.ours)
        self.ours = -1

    def set_size(self, rows: int, columns: int):
        fcntl.ioctl(self.ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def take(self, seconds: float) -> bool:
        if not select.select([self.ours], [], [], seconds)[0]:
            return False
        self.shown += os.read(self.ours, 65536)
        return True

    def last_screen(self) -> list[str]:
        """Of those that were shown whole, without what moves the cursor or is bold."""
        frames = re.findall(rb"\x1b\[H(.*?)\x1b\[J", self.shown, re.DOTALL)
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", frames[-1].decode()).replace("\r", "").split("\n") if frames else []

    def wait_for(self, pattern: str) -> list[str]:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not re.search(pattern, "\n".join(self.last_screen()), re.MULTILINE):
            if not self.take(deadline - time.monotonic()):
                raise AssertionError(f"no {pattern!r} in {self.last_screen()}, {self.shown[-2000:]!r}")
        return self.last_screen()

    def wait_for_end(self) -> int:
        status = self.process.wait(PATIENCE_SECONDS)
        while self.take(0.05):
            pass
        return status


class Vaccelctl(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="vaccelctl-", dir="/tmp")
        cls.addClassCleanup(folder.cleanup)
        cls.folder = Path(folder.name)
        cls.control = cls.folder / "control.sock"
        with open(cls.folder / "log", "wb") as log:
            cls.agent = subprocess.Popen([BIN / "vacceld", "--listen", f"unix:{cls.folder}/agent.sock", "--control", cls.control],
                                         stdout=log, stderr=log)
        cls.addClassCleanup(cls.end)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while run("--control", cls.control, "status").returncode != 0:
            if time.monotonic() > deadline:
                raise AssertionError((cls.folder / "log").read_text())
            time.sleep(0.05)

    @classmethod
    def end(cls):
        cls.agent.terminate()
        cls.agent.wait(PATIENCE_SECONDS)

    def ctl(self, *arguments) -> str:
        done = run("--control", self.control, *arguments)
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
        return done.stdout

    def read(self, *arguments) -> dict:
        return json.loads(self.ctl("--json", *arguments))

    def expect_refused(self, code: int, name: str, words: str, *arguments):
        """Says so in one line on standard error; with --json, on standard output, too."""
        for json_option in ([], ["--json"]):
            done = run("--control", self.control, *json_option, *arguments)
            self.assertEqual(done.returncode, code, done.stderr)
            self.assertRegex(done.stderr, r"\Avaccelctl: [^\n]*\n\Z")
            self.assertIn(words, done.stderr)
            if json_option:
                error = json.loads(done.stdout)["error"]
                self.assertEqual(error["code"], name)
                self.assertIn(words, error["message"])
            else:
                self.assertEqual(done.stdout, "")

    def window(self, name: str) -> Path:
        path = self.folder / name
        self.ctl("window", "create", path, "--size", "8M", "--force")
        return path

    def test_a_windows_file(self):
        path = self.folder / "made.window"
        made = self.read("window", "create", path, "--size", "16M")
        self.assertEqual((made["window"], made["bytes"]), (str(path), 16 << 20))
        self.assertIn(f"memory-backend-file,id=vaccel,share=on,mem-path={path},size=16777216", made["vmm"]["qemu"])
        self.assertEqual(made["vmm"]["cloud_hypervisor"], ["--pmem", f"file={path}"])
        self.assertEqual(made["vmm"]["firecracker"], {"resource": "/pmem/vaccel", "body": {
            "id": "vaccel", "path_on_host": str(path), "root_device": False, "read_only": False}})
        shown = self.read("window", "show", path)
        self.assertEqual((shown["bytes"], shown["window_bytes"]), (16 << 20, 14 << 20))
        self.assertEqual((shown["generation"], shown["in_use"]), (0, False))
        self.assertRegex(shown["vm"], r"\A[0-9a-f]{32}\Z")
        self.assertIn("no agent has had it yet", self.ctl("window", "show", path))
        self.expect_refused(2, "INVALID_ARGUMENT", "--force", "window", "create", path, "--size", "16M")
        self.expect_refused(2, "INVALID_ARGUMENT", "multiple of 2 MiB", "window", "create", self.folder / "x", "--size", "5M")
        self.expect_refused(3, "NOT_FOUND", "No such file", "window", "show", self.folder / "none")
        self.expect_refused(3, "NOT_FOUND", "No such file", "window", "create", self.folder / "no/where", "--size", "4M")
        self.expect_refused(6, "RESOURCE_EXHAUSTED", "cannot make it", "window", "create", self.folder / "x", "--size", "8000000T")

    def test_a_vm(self):
        path = self.window("vm.window")
        attached = self.read("vm", "attach", "vm", "--socket", self.folder / "v.sock", "--window", path, "--tenant", "acme")
        self.assertEqual(attached["listen"], f"hvsock:{self.folder}/v.sock:4411")
        self.assertEqual((attached["window"], attached["bytes"], attached["tenant"]), (str(path), 8 << 20, "acme"))
        self.assertIn(f"file={path}", attached["vmm"]["cloud_hypervisor"])
        self.assertTrue(self.read("window", "show", path)["in_use"])
        self.expect_refused(4, "UNAVAILABLE", "an agent has it", "window", "create", path, "--size", "8M", "--force")
        [vm] = self.read("vm", "list")["vms"]
        self.assertEqual(vm, {"name": "vm", "tenant": "acme", "listen": attached["listen"], "cid": 0, "window": str(path),
                              "window_bytes": 6 << 20, "leased_bytes": 0, "leases": 0, "sessions": 0, "problem": ""})
        self.assertEqual(self.read("status")["vms"], [vm])
        self.assertRegex(self.ctl("vm", "list"), rf"(?m)^vm +acme +hvsock:\S+ +0 +0 +0 B +{path}, 6 MiB$")
        self.expect_refused(2, "INVALID_ARGUMENT", "already", "vm", "attach", "vm", "--socket", self.folder / "w.sock")
        self.assertEqual(self.read("vm", "detach", "vm"), {"name": "vm"})
        self.expect_refused(3, "NOT_FOUND", "no VM 'vm'", "vm", "detach", "vm")
        self.assertEqual(self.ctl("vm", "list"), "No VM is attached.\n")

    def test_status(self):
        status = self.read("status")
        self.assertEqual(set(status), {"server", "sessions", "workers", "calls", "failed_calls", "copied_bytes", "window_bytes",
                                       "windows", "leased_bytes", "device_bytes", "tenants", "models", "worker_processes",
                                       "devices", "vms"})
        self.assertTrue(status["server"].startswith("vacceld "))
        self.assertIn("sessions  0", self.ctl("status"))
        self.assertEqual(status["device_bytes"], 0)
        self.assertIn("devices   0 B in buffers", self.ctl("status"))
        [worker] = status["worker_processes"]
        self.assertEqual((worker["index"], worker["ready"], worker["problem"], worker["starts"]), (0, True, "", 1))
        os.kill(worker["pid"], 0)
        self.assertEqual(status["models"], [])
        self.assertIn("reference", [device["backend"] for device in status["devices"]])

    def ping(self, count: int):
        done = subprocess.run([BIN / "vaccel", "--endpoint", f"unix:{self.folder}/agent.sock", "ping", "--count", str(count),
                               "--interval", "0"],
                              capture_output=True, text=True, timeout=PATIENCE_SECONDS)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_status_tells_what_a_tenant_did(self):
        def tenant() -> dict:
            return next((one for one in self.read("status")["tenants"] if one["name"] == "default"), {"calls": 0})
        self.ping(1)
        self.assertGreaterEqual(tenant()["calls"], 1, "though nothing was said of it, and it has nothing open")
        self.ctl("tenant", "set", "default", "weight=3")
        before = tenant()["calls"]
        self.ping(50)
        after = tenant()
        self.assertGreaterEqual(after["calls"], before + 50)
        self.assertEqual((after["weight"], after["failed_calls"], after["calls_running"], after["bytes_in_flight"]), (3, 0, 0, 0))
        self.assertRegex(self.ctl("status"), r"(?m)^tenant +weight +sessions +queued +running +calls +failed ")
        self.assertRegex(self.ctl("status"), rf"(?m)^default +3 +\d+ +0 +0 +{after['calls']} +0 ")

    def test_a_thousand_tenants(self):
        with tempfile.TemporaryDirectory(prefix="vaccelctl-", dir="/tmp") as folder:
            config = Path(folder) / "vaccel.toml"
            config.write_text(f'listen = ["unix:{folder}/agent.sock"]\ncontrol = "control.sock"\n[worker]\ncount = 3\n'
                              'cpus = ["0"]\n' + "".join(f'[[tenant]]\nname = "tenant-{number:04}"\nweight = {number + 1}\n'
                                                        for number in range(1000)))
            with open(Path(folder) / "log", "wb") as log:
                agent = subprocess.Popen([BIN / "vacceld", "--config", config], stdout=log, stderr=log)
            try:
                control = Path(folder) / "control.sock"
                deadline = time.monotonic() + PATIENCE_SECONDS
                while run("--control", control, "status").returncode != 0 and time.monotonic() < deadline:
                    time.sleep(0.05)
                done = run("--control", control, "--json", "status")
                self.assertEqual(done.returncode, 0, done.stderr)
                status = json.loads(done.stdout)
                weights = {tenant["name"]: tenant["weight"] for tenant in status["tenants"]}
                self.assertEqual([weights[f"tenant-{number:04}"] for number in range(1000)], list(range(1, 1001)))
                self.assertEqual([(worker["index"], worker["cpus"]) for worker in status["worker_processes"]],
                                 [(0, "0"), (1, "0"), (2, "0")])
                shown = run("--control", control, "top", "--once", "--interval", "0.1")
                self.assertEqual(shown.returncode, 0, shown.stderr)
                self.assertEqual(len(re.findall(r"(?m)^tenant-\d{4} ", shown.stdout)), 1000)
            finally:
                agent.terminate()
                agent.wait(PATIENCE_SECONDS)

    def test_top_once(self):
        self.ctl("tenant", "set", "default", "weight=3")
        for arguments in (["--once"], []):  # standard output is no terminal
            shown = self.ctl("top", "--interval", "0.1", *arguments)
            self.assertRegex(shown, r"\Avacceld \S+, \d+ sessions, \d+ tenants, 1 of 1 workers ready\ncalls 0/s, failed 0/s, ")
            self.assertRegex(shown, r"(?m)^default +3 ")
            self.assertRegex(shown, r"(?m)^ +0 +\d+ +ready ")
            self.assertNotIn("\x1b", shown)
        self.expect_refused(2, "INVALID_ARGUMENT", "--interval", "top", "--interval", "0")
        done = run("--control", self.control, "--json", "top")
        self.assertEqual(done.returncode, 2)
        self.assertIn("status --json", json.loads(done.stdout)["error"]["message"])
        done = run("--control", self.folder / "none.sock", "top")
        self.assertEqual(done.returncode, 4, done.stderr)

    def test_top_shows_rates_and_puts_the_terminal_back(self):
        self.ctl("tenant", "set", "default", "weight=3")
        ends = {"q": lambda top: os.write(top.ours, b"q"), "Ctrl-C": lambda top: os.write(top.ours, b"\x03"),
                "SIGTERM": lambda top: top.process.send_signal(signal.SIGTERM)}
        for name, end in ends.items():
            with self.subTest(name), LiveTop("--control", self.control, "top", "--interval", "0.2") as top:
                top.wait_for("^default ")
                self.assertTrue(top.shown.startswith(b"\x1b[?1049h\x1b[?25l"), top.shown[:100])
                if name == "q":
                    while not re.search(r"(?m)^calls [1-9]", "\n".join(top.last_screen())):
                        self.ping(20)
                        top.take(0.3)
                    top.wait_for(r"^default +3 +\d+ +\d+ +\d+ +[1-9]\S* +0 ")
                    top.wait_for("^calls 0/s")
                end(top)
                self.assertEqual(top.wait_for_end(), 0)
                self.assertTrue(top.shown.endswith(b"\x1b[?25h\x1b[?1049l"), top.shown[-100:])
                self.assertEqual(termios.tcgetattr(top.theirs), top.before)

    def test_top_fits_its_window(self):
        with LiveTop("--control", self.control, "top", "--interval", "0.2", rows=24, columns=100) as top:
            top.wait_for("^backend ")
            for rows, columns in ((8, 40), (3, 10), (40, 200)):
                top.set_size(rows, columns)
                top.process.send_signal(signal.SIGWINCH)
                top.shown = b""
                screens = []
                while len(screens) < 3:
                    self.assertTrue(top.take(PATIENCE_SECONDS))
                    screens = re.findall(rb"\x1b\[H", top.shown)
                screen = top.last_screen()
                self.assertLessEqual(len(screen), rows)
                self.assertLessEqual(max(map(len, screen)), columns)
            os.write(top.ours, b"q")
            self.assertEqual(top.wait_for_end(), 0)

    def test_top_ends_with_its_terminal(self):
        with LiveTop("--control", self.control, "top", "--interval", "3600") as top:
            top.wait_for("^backend ")
            top.hang_up()
            top.process.wait(PATIENCE_SECONDS)

    def test_top_outlives_its_agent(self):
        with tempfile.TemporaryDirectory(prefix="vaccelctl-", dir="/tmp") as folder:
            control = Path(folder) / "control.sock"

            def start() -> subprocess.Popen:
                agent = subprocess.Popen([BIN / "vacceld", "--listen", f"unix:{folder}/agent.sock", "--control", control],
                                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                deadline = time.monotonic() + PATIENCE_SECONDS
                while run("--control", control, "status").returncode != 0 and time.monotonic() < deadline:
                    time.sleep(0.05)
                return agent
            agent = start()
            try:
                with LiveTop("--control", control, "top", "--interval", "0.2", columns=200) as top:
                    top.wait_for(r"\Avacceld ")
                    agent.terminate()
                    agent.wait(PATIENCE_SECONDS)
                    top.wait_for("is the agent .vacceld. running")
                    agent = start()
                    top.wait_for(r"\Avacceld ")
                    os.write(top.ours, b"q")
                    self.assertEqual(top.wait_for_end(), 0)
            finally:
                agent.terminate()
                agent.wait(PATIENCE_SECONDS)

    def test_no_agent_there(self):
        for control, words in ((self.folder / "none.sock", "is the agent (vacceld) running"), ("", "--control")):
            done = run("--control", control, "status")
            self.assertIn(done.returncode, (2, 4), done.stderr)
            self.assertIn(words, done.stderr)

    def test_somebody_else_there(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as impostor:
            impostor.bind(str(self.folder / "impostor.sock"))
            impostor.listen()
            with subprocess.Popen([BIN / "vaccelctl", "--control", self.folder / "impostor.sock", "status"],
                                  stderr=subprocess.PIPE, text=True) as process:
                connection, _ = impostor.accept()
                with connection:
                    connection.sendall(b"220 mail.example.org ESMTP at your service, as ever\r\n")
                    said = process.communicate(timeout=PATIENCE_SECONDS)[1]
            self.assertEqual(process.returncode, 1, said)

    @unittest.skipIf(os.geteuid() != 0, "only root can become somebody else")
    def test_others_may_not(self):
        self.folder.chmod(0o755)
        try:
            done = run("--control", self.control, "status", user=NOBODY, group=NOBODY, extra_groups=[])
        except OSError as error:
            self.skipTest(f"nobody cannot run {BIN}/vaccelctl: {error}")
        self.assertEqual(done.returncode, 7, done.stderr)
        self.assertIn("Permission denied", done.stderr)

    def test_help_and_mistakes(self):
        for words in ([], ["window"], ["window", "create"], ["window", "show"], ["vm"], ["vm", "attach"], ["vm", "detach"],
                      ["vm", "list"], ["status"], ["top"]):
            self.assertIn("Usage:" if words else "Exit codes:", self.ctl(*words, "--help"))
        self.assertRegex(self.ctl("--version"), r"\Avaccelctl \d+\.\d+\.\d+\n\Z")
        self.expect_refused(2, "INVALID_ARGUMENT", "there is no command 'wm'", "wm")
        self.expect_refused(2, "INVALID_ARGUMENT", "see vaccelctl vm attach --help", "vm", "attach", "vm")


if __name__ == "__main__":
    unittest.main()
