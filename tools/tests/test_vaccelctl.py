# SPDX-License-Identifier: Apache-2.0
"""The tool vaccelctl as an operator types it: what it prints for people and for scripts, and its exit codes. What the agent does
with it is in tests/integration/vm_attach_test.cpp."""

import json
import os
import socket
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

TREE = Path(__file__).resolve().parents[2]
BIN = Path(os.environ.get("VACCEL_TEST_BIN", TREE / "build/bin"))
PATIENCE_SECONDS = 60
NOBODY = 65534

for program in ("vaccelctl", "vacceld", "vaccel-worker"):
    if not (BIN / program).is_file():
        raise unittest.SkipTest(f"{BIN} has no {program}; build it first")


def run(*arguments, **options) -> subprocess.CompletedProcess:
    return subprocess.run([BIN / "vaccelctl", *map(str, arguments)], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                          timeout=PATIENCE_SECONDS, **options)


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
                                       "windows", "leased_bytes", "device_bytes", "vms"})
        self.assertTrue(status["server"].startswith("vacceld "))
        self.assertIn("sessions  0", self.ctl("status"))
        self.assertEqual(status["device_bytes"], 0)
        self.assertIn("devices   0 B in buffers", self.ctl("status"))

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
                      ["vm", "list"], ["status"]):
            self.assertIn("Usage:" if words else "Exit codes:", self.ctl(*words, "--help"))
        self.assertRegex(self.ctl("--version"), r"\Avaccelctl \d+\.\d+\.\d+\n\Z")
        self.expect_refused(2, "INVALID_ARGUMENT", "there is no command 'wm'", "wm")
        self.expect_refused(2, "INVALID_ARGUMENT", "see vaccelctl vm attach --help", "vm", "attach", "vm")


if __name__ == "__main__":
    unittest.main()
