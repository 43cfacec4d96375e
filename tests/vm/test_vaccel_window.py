# SPDX-License-Identifier: Apache-2.0
"""Windows as guests see them: found by a program that names nothing, used without a copy, never another VM's, and no
harm when there is none or when somebody dies."""

import json
import mmap
import os
import re
import subprocess
import tempfile
import unittest
from pathlib import Path

from vaccel_vm import Guest, GuestGone, Window, agent, parts, testing

INPUT_BYTES, RESULT_BYTES = 224 * 224 * 3 * 4, 1001 * 4
PROGRAMS = ("vaccel", "vacceld", "vaccel-worker", "vaccelctl")


def build_window_calls(folder: Path) -> Path:
    """guest/window_calls.c, linked against the library as a function's author would."""
    program, source = folder / "window_calls", parts.GUEST_SOURCES / "window_calls.c"
    library, include = parts.build_dir() / "lib" / "libvaccel.so.0", parts.TREE / "include"
    subprocess.run([parts.compiler(), "-std=c11", f"-I{include}", source, library, "-o", program], check=True)
    return program


def files_of_guest(folder: Path) -> list[tuple[Path, str]]:
    """The program above, and somebody who is not root."""
    users, groups = folder / "passwd", folder / "group"
    users.write_text("root:x:0:0:root:/root:/bin/sh\nfunction:x:1000:1000::/tmp:/bin/sh\n")
    groups.write_text("root:x:0:\nfunction:x:1000:\nvaccel:x:900:function\n")
    return [
        (build_window_calls(folder), "/bin/window_calls"),
        (agent.photo("chelsea.png"), "/photo.png"),
        (users, "/etc/passwd"),
        (groups, "/etc/group"),
    ]


class Calls:
    """A running window_calls."""

    def __init__(self, guest: Guest):
        self._process = guest.start(["window_calls"])
        greeting = self._process.read_line(120)
        if greeting != b"session with vsock:2:4411\n":
            raise AssertionError((greeting, self._process.output()))

    def ask(self, line: str) -> str:
        self._process.write(line.encode() + b"\n")
        return self._process.read_line(120).decode().rstrip("\n")

    def end(self) -> int:
        self._process.close_stdin()
        return self._process.wait()


def vaccel(guest: Guest, *arguments: str) -> dict:
    """What `vaccel --json` says in the guest."""
    done = guest.run(["vaccel", "--json", *arguments], timeout=120, check=True)
    return json.loads(done.stdout)


def vm_status(server: agent.Agent, name: str) -> dict:
    return next(vm for vm in server.status()["vms"] if vm["name"] == name)


class UseTests:
    """What holds of every kind of window: see testing.OnKernel."""

    device = "virtio-pmem"

    @classmethod
    def setUpClass(cls):
        agent.need_build(*PROGRAMS)
        super().setUpClass()

    @classmethod
    def files(cls):
        return files_of_guest(cls.folder)

    @classmethod
    def windows(cls):
        cls.agent = cls.enterClassContext(agent.Agent(cls.folder))
        cls.window = agent.create_window(cls.folder / "window")
        cls.attach()
        return [Window(cls.window, cls.device)]

    @classmethod
    def attach(cls):
        cls.agent.attach("vm", cls.uds, "--window", cls.window)

    def test_info_names_the_device(self):
        self.assertEqual(vaccel(self.guest, "info")["window"], "/dev/dax0.0, 62 MiB")
        self.assertIn(b"/dev/dax0.0, 62 MiB", self.guest.run(["vaccel", "info"], check=True).stdout)

    def test_photo_goes_through_the_window(self):
        size = agent.photo("chelsea.png").stat().st_size
        before = self.agent.status()
        said = vaccel(self.guest, "classify", "/photo.png")
        self.assertEqual(said["classes"][0]["label"], "Egyptian cat")
        after = self.agent.status()
        self.assertGreaterEqual(after["window_bytes"] - before["window_bytes"], size)
        self.assertLess(after["copied_bytes"] - before["copied_bytes"], size)

    def test_tensors_in_buffers_are_not_copied(self):
        calls = Calls(self.guest)
        in_buffers = [calls.ask("infer buffers") for _ in range(3)]
        in_memory = calls.ask("infer memory")
        self.assertRegex(in_buffers[0], r"^ok class \d+ score [\d.]+ copied 0$")
        self.assertEqual(set(in_buffers), {in_buffers[0]})
        # Into the window, once; and out of it where the library gives the result memory of its own.
        result, copied = in_memory.split(" copied ")
        self.assertEqual(result, in_buffers[0].split(" copied ")[0])
        self.assertIn(int(copied), (INPUT_BYTES, INPUT_BYTES + RESULT_BYTES))
        self.assertEqual(calls.end(), 0)


class WindowTests(UseTests):
    """And of these on each kernel, with the usual device."""

    def test_user_without_permission_is_served_inline_and_told_why(self):
        done = self.guest.run(["su", "function", "-c", "vaccel --json info && vaccel --json classify /photo.png"])
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        info, answer = map(json.loads, done.stdout.splitlines())
        self.assertRegex(info["window"], "^none: cannot open /dev/dax0.0: Permission denied; the udev rule 70-vaccel")
        self.assertEqual(answer["classes"][0]["label"], "Egyptian cat")

    def test_udev_rule_is_for_this_device_and_its_group_may_use_it(self):
        rule = (parts.TREE / "deploy" / "udev" / "70-vaccel.rules").read_text()
        rule = next(line for line in rule.splitlines() if line.startswith("SUBSYSTEM"))
        wants = dict(re.findall(r'(\w+)==?"([^"]*)"', rule))
        # The guest has no udev: what it would compare is what the kernel shows, SUBSYSTEMS and DRIVERS of one parent.
        script = (
            "cd -P /sys/bus/dax/devices/dax0.0; basename $(readlink subsystem); "
            "while cd -P .. && [ $PWD != /sys ]; do "
            "echo $(basename $(readlink subsystem) .) $(basename $(readlink driver) .); done"
        )
        own, *parents = self.guest.run(["sh", "-c", script], check=True).stdout.decode().splitlines()
        self.assertEqual(own, wants["SUBSYSTEM"])
        self.assertIn(f"{wants['SUBSYSTEMS']} {wants['DRIVERS']}", parents)
        node = "/dev/dax0.0"
        self.guest.run(["sh", "-c", f"chgrp {wants['GROUP']} {node} && chmod {wants['MODE']} {node}"], check=True)
        try:
            done = self.guest.run(["su", "function", "-c", "vaccel --json info"], check=True)
        finally:
            self.guest.run(["sh", "-c", f"chgrp root {node} && chmod 600 {node}"], check=True)
        self.assertEqual(json.loads(done.stdout)["window"], "/dev/dax0.0, 62 MiB")

    def test_processes_at_once_have_their_own_leases(self):
        running = [Calls(self.guest) for _ in range(3)]
        for number, calls in enumerate(running):
            self.assertEqual(calls.ask(f"hold 100000 text-of-{number}"), "ok shared")
        answers = {calls.ask("infer buffers") for calls in running}
        self.assertEqual(len(answers), 1, answers)
        self.assertRegex(answers.pop(), "copied 0$")
        found = re.findall(rb"text-of-\d", self.window.read_bytes())
        self.assertEqual(sorted(found), [b"text-of-0", b"text-of-1", b"text-of-2"])
        self.assertEqual([calls.end() for calls in running], [0, 0, 0])
        scrubbed = lambda: b"text-of-" not in self.window.read_bytes()
        self.assertTrue(testing.wait_until(scrubbed), "what was leased is still in the window")

    def test_leases_end_with_their_process(self):
        calls = Calls(self.guest)
        self.assertEqual(calls.ask("hold 1000000 text"), "ok shared")
        self.assertGreaterEqual(vm_status(self.agent, "vm")["leased_bytes"], 1_000_000)
        calls._process.kill()
        gone = lambda: vm_status(self.agent, "vm")["leased_bytes"] == 0
        self.assertTrue(testing.wait_until(gone), vm_status(self.agent, "vm"))

    def test_same_process_goes_on_after_the_agent_was_killed(self):
        calls = Calls(self.guest)
        first = calls.ask("infer buffers")
        self.assertRegex(first, "copied 0$")
        self.agent.kill()
        try:
            self.assertRegex(calls.ask("infer buffers"), "^UNAVAILABLE .")
        finally:
            self.agent.start()
            self.attach()
        self.assertRegex(calls.ask("infer buffers"), "^UNAVAILABLE .")  # the leases are gone, the memory is not
        self.assertEqual(calls.ask("free"), "ok")
        self.assertEqual(calls.ask("infer buffers"), first)
        self.assertEqual(calls.ask("window"), "ok /dev/dax0.0, 62 MiB")
        self.assertEqual(calls.end(), 0)


class WindowOn61(WindowTests, testing.OnKernel):
    kernel = "6.1"


class WindowOn612(WindowTests, testing.OnKernel):
    kernel = "6.12"


class SmallOn612(testing.OnKernel):
    """A window in which hardly anything fits."""

    kernel = "6.12"

    @classmethod
    def setUpClass(cls):
        agent.need_build(*PROGRAMS)
        super().setUpClass()

    @classmethod
    def files(cls):
        return files_of_guest(cls.folder)

    @classmethod
    def windows(cls):
        cls.agent = cls.enterClassContext(agent.Agent(cls.folder))
        window = agent.create_window(cls.folder / "window", "4M")
        cls.agent.attach("vm", cls.uds, "--window", window)
        return [Window(window)]

    def test_what_does_not_fit_goes_inline(self):
        self.assertEqual(vaccel(self.guest, "info")["window"], "/dev/dax0.0, 2 MiB")
        calls = Calls(self.guest)
        alone = calls.ask("infer memory").split(" copied ")[0]
        self.assertRegex(calls.ask("hold 5000000 text"), "^RESOURCE_EXHAUSTED .")
        while (said := calls.ask("hold 200000 text")) == "ok shared":
            pass
        self.assertRegex(said, "^RESOURCE_EXHAUSTED .")
        result, copied = calls.ask("infer memory").split(" copied ")
        self.assertEqual(result, alone)
        self.assertGreaterEqual(int(copied), INPUT_BYTES)
        self.assertEqual(vaccel(self.guest, "classify", "/photo.png")["classes"][0]["label"], "Egyptian cat")
        self.assertEqual(calls.end(), 0)


class NvdimmOn61(UseTests, testing.OnKernel):
    kernel, device = "6.1", "nvdimm"


class NvdimmOn612(UseTests, testing.OnKernel):
    kernel, device = "6.12", "nvdimm"


class AgentsMemoryOn612(UseTests, testing.OnKernel):
    """A window in memory of the agent's own, a sealed memfd."""

    kernel = "6.12"

    @classmethod
    def windows(cls):
        cls.agent = cls.enterClassContext(agent.Agent(cls.folder))
        cls.agent.attach("vm", cls.uds, "--memory", "64M")
        return [Window(Path(vm_status(cls.agent, "vm")["window"]))]


class WithoutTests:
    """No window that could be used: the guest has a device whose file the agent does not know."""

    @classmethod
    def setUpClass(cls):
        agent.need_build(*PROGRAMS)
        super().setUpClass()
        cls.agent = cls.enterClassContext(agent.Agent(cls.folder))

    @classmethod
    def files(cls):
        return files_of_guest(cls.folder)

    @classmethod
    def windows(cls):
        return [Window(agent.create_window(cls.folder / "of-another-vm"))]

    def check_inline(self, why: str, *window):
        self.agent.attach("vm", self.uds, *window)
        try:
            self.assertRegex(vaccel(self.guest, "info")["window"], why)
            self.assertEqual(vaccel(self.guest, "classify", "/photo.png")["classes"][0]["label"], "Egyptian cat")
            calls = Calls(self.guest)
            self.assertEqual(calls.ask("hold 1000 text"), "ok ordinary")
            self.assertEqual(calls.ask("infer buffers").split(" copied ")[0], calls.ask("infer memory").split(" copied ")[0])
            self.assertEqual(calls.end(), 0)
        finally:
            self.agent.detach("vm")

    def test_agent_that_has_none_for_this_vm(self):
        self.check_inline("^none: ")

    def test_device_that_is_the_window_of_another_vm(self):
        window = agent.create_window(self.folder / "of-this-vm")
        self.check_inline("^none: none of the 1 dax devices .*/dev/dax0.0: the window of another VM", "--window", window)


class WithoutOn61(WithoutTests, testing.OnKernel):
    kernel = "6.1"


class WithoutOn612(WithoutTests, testing.OnKernel):
    kernel = "6.12"


class SeveralVms(unittest.TestCase):
    """Each with its own window; and what becomes of an agent whose VM, or its window, is no more."""

    @classmethod
    def setUpClass(cls):
        agent.need_build(*PROGRAMS)
        for kernel in ("6.1", "6.12"):
            testing.need_parts(kernel)

    def setUp(self):
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory(prefix="vm-test-")))
        self.agent = self.enterContext(agent.Agent(self.folder))

    def boot(self, name: str, kernel: str) -> tuple[Guest, Path]:
        uds, window = self.folder / f"{name}.sock", agent.create_window(self.folder / f"{name}.window")
        self.agent.attach(name, uds, "--window", window)
        files = files_of_guest(self.folder)
        guest = self.enterContext(Guest(kernel, vsock_uds=uds, files=files, windows=[Window(window)]))
        return guest, window

    def check_agent(self):
        """It and its workers are there for others."""
        program = parts.build_dir() / "bin" / "vaccel"
        argv = [program, "--json", "--endpoint", self.agent.endpoint, "classify", agent.photo("chelsea.png")]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, 0, (done.stderr, self.agent.log()))
        self.assertEqual(json.loads(done.stdout)["classes"][0]["label"], "Egyptian cat")

    def test_two_at_once_keep_their_data_apart(self):
        names = {"one": "6.1", "two": "6.12"}
        guests = {name: self.boot(name, kernel) for name, kernel in names.items()}
        calls = {name: Calls(guest) for name, (guest, _) in guests.items()}
        for name, running in calls.items():
            self.assertEqual(running.ask(f"hold 1000000 secret-of-{name}"), "ok shared")
            self.assertRegex(running.ask("infer buffers"), "copied 0$")
        for name, (_, window) in guests.items():
            found = re.findall(rb"secret-of-\w+", window.read_bytes())
            self.assertEqual(set(found), {f"secret-of-{name}".encode()})
        # One of them is killed, as a VMM is: its leases go, the other's do not.
        guests["one"][0].close()
        gone = lambda: vm_status(self.agent, "one")["leased_bytes"] == 0
        self.assertTrue(testing.wait_until(gone), vm_status(self.agent, "one"))
        scrubbed = lambda: b"secret-of-one" not in guests["one"][1].read_bytes()
        self.assertTrue(testing.wait_until(scrubbed), "what was leased is still in the window")
        self.assertGreaterEqual(vm_status(self.agent, "two")["leased_bytes"], 1_000_000)
        self.assertRegex(calls["two"].ask("infer buffers"), "copied 0$")
        self.check_agent()

    def test_window_that_is_truncated_in_use(self):
        guest, window = self.boot("vm", "6.12")
        calls = Calls(guest)
        self.assertRegex(calls.ask("infer buffers"), "copied 0$")
        os.truncate(window, 2 << 20)
        try:
            calls.ask("infer buffers")  # whatever becomes of it, and of the guest, whose memory it was
            calls.ask("infer memory")
        except GuestGone:
            pass
        self.check_agent()
        self.assertNotEqual(vm_status(self.agent, "vm")["problem"], "")


if __name__ == "__main__":
    unittest.main()
