# SPDX-License-Identifier: Apache-2.0
"""Does what runs in a guest reach us unchanged, on both kernels, and is nothing left when it is over?"""

import hashlib
import json
import os
import signal
import socket
import subprocess
import tempfile
import threading
import unittest
from pathlib import Path

from vaccel_vm import BootFailed, Guest, GuestGone, VmError, testing

HOST_CID, PORT = 2, 4411


class GuestTests:
    """What holds on each kernel; see testing.OnKernel."""

    modules = ["vsock_loopback"]

    @classmethod
    def files(cls):
        cls.note = cls.folder / "note.txt"
        cls.note.write_text("from the host\n")
        cls.note.chmod(0o640)
        return [
            (cls.note, "/data/note.txt"),
            (testing.echo_program(), "/bin/vsock_echo"),
            ("/usr/bin/sha256sum", "/opt/sha256sum"),  # a dynamic program, of the host's own libc
        ]

    def sh(self, script: str, **options) -> subprocess.CompletedProcess:
        return self.guest.run(["sh", "-c", script], **options)

    # --- commands ---

    def test_runs_the_kernel_it_was_asked_for(self):
        release = self.guest.run(["uname", "-r"]).stdout.decode().strip()
        self.assertTrue(release.startswith(f"{self.kernel}."), release)
        self.assertEqual(release, self.guest.description.kernel)

    def test_exit_codes_pass_through(self):
        for code in (0, 1, 7, 255):
            self.assertEqual(self.sh(f"exit {code}").returncode, code)
        self.assertEqual(self.sh("kill -TERM $$").returncode, -signal.SIGTERM)

    def test_command_that_is_not_there(self):
        done = self.guest.run(["no-such-command"])
        self.assertEqual(done.returncode, 127)
        self.assertIn(b"cannot run no-such-command: No such file", done.stderr)

    def test_arguments_environment_and_directory(self):
        done = self.guest.run(
            ["sh", "-c", 'printf "%s|" "$@" "$SETTING" "$PWD"', "sh", "a b", "", "ü\n"],
            env={"SETTING": "x=y z"},
            cwd="/data",
        )
        self.assertEqual(done.stdout.decode(), "a b||ü\n|x=y z|/data|")

    def test_output_is_binary_and_streams_stay_apart(self):
        out, err = os.urandom(300_001), bytes(range(256)) * 500
        self.guest.write_file("/tmp/out", out)
        self.guest.write_file("/tmp/err", err)
        done = self.sh("cat /tmp/err >&2 & cat /tmp/out; wait")
        self.assertEqual((done.stdout == out, done.stderr == err), (True, True))

    def test_much_output_arrives_whole(self):
        done = self.sh("dd if=/dev/urandom bs=64k count=128 2>/dev/null | tee /tmp/much", timeout=120)
        self.assertEqual(len(done.stdout), 8 << 20)
        there = self.guest.run(["sha256sum", "/tmp/much"], check=True).stdout.decode().split()[0]
        self.assertEqual(hashlib.sha256(done.stdout).hexdigest(), there)
        self.guest.run(["rm", "/tmp/much"], check=True)

    def test_last_words_of_many_short_commands(self):
        script = 'echo "out $1"; echo "err $1" >&2'
        running = [self.guest.start(["sh", "-c", script, "sh", str(i)]) for i in range(60)]
        for i, process in enumerate(running):
            self.assertEqual(process.wait(), 0)
            self.assertEqual(process.output(), (f"out {i}\n".encode(), f"err {i}\n".encode()))

    def test_more_commands_than_there_is_room_for(self):
        running = [self.guest.start(["cat"]) for _ in range(64)]
        refused = self.guest.run(["true"])
        self.assertEqual(refused.returncode, 126)
        self.assertIn(b"64 commands run already", refused.stderr)
        for process in running:
            process.close_stdin()
        self.assertEqual({process.wait() for process in running}, {0})

    def test_standard_input_arrives_whole(self):
        data = os.urandom(1_000_003)
        done = self.guest.run(["sha256sum"], stdin=data)
        self.assertEqual(done.stdout.decode().split()[0], hashlib.sha256(data).hexdigest())

    def test_command_that_does_not_read_its_input(self):
        self.assertEqual(self.guest.run(["true"], stdin=bytes(1 << 20)).returncode, 0)

    def test_commands_run_at_the_same_time(self):
        self.guest.run(["mkfifo", "/tmp/there", "/tmp/back"], check=True)
        first = self.guest.start(["sh", "-c", "echo one > /tmp/there; cat /tmp/back"])
        second = self.guest.start(["sh", "-c", "cat /tmp/there; echo two > /tmp/back"])
        self.assertEqual((first.wait(), second.wait()), (0, 0))
        self.assertEqual((first.output()[0], second.output()[0]), (b"two\n", b"one\n"))

    def test_conversation_with_a_running_command(self):
        process = self.guest.start(["sh", "-c", 'while read word; do echo "got $word"; done; echo end'])
        for word in (b"red", b"green"):
            process.write(word + b"\n")
            self.assertEqual(process.read_line(), b"got " + word + b"\n")
        process.close_stdin()
        self.assertEqual(process.wait(), 0)
        self.assertEqual(process.read_line(), b"end\n")

    def test_late_command_is_killed_with_its_children(self):
        with self.assertRaises(subprocess.TimeoutExpired) as late:
            self.sh("echo begun; sleep 4321 & sleep 4321", timeout=1.5)
        self.assertEqual(late.exception.stdout, b"begun\n")
        gone = lambda: b"4321" not in self.guest.run(["ps"], check=True).stdout
        self.assertTrue(testing.wait_until(gone, 10))

    # --- files ---

    def test_megabyte_in_and_out_unchanged(self):
        data = os.urandom(1 << 20)
        source, back = self.folder / "in.bin", self.folder / "out.bin"
        source.write_bytes(data)
        source.chmod(0o751)
        self.guest.copy_in(source, "/deep/er/in.bin")
        self.guest.copy_out("/deep/er/in.bin", back)
        self.assertEqual(back.read_bytes() == data, True)
        self.assertEqual(self.guest.run(["stat", "-c", "%a", "/deep/er/in.bin"]).stdout, b"751\n")

    def test_files_given_at_boot(self):
        self.assertEqual(self.guest.read_file("/data/note.txt"), b"from the host\n")
        self.assertEqual(self.guest.run(["stat", "-c", "%a", "/data/note.txt"]).stdout, b"640\n")

    def test_dynamic_program_finds_its_libraries(self):
        done = self.guest.run(["/opt/sha256sum", "/data/note.txt"])
        self.assertEqual(done.stderr, b"")
        self.assertEqual(done.stdout.decode().split()[0], hashlib.sha256(b"from the host\n").hexdigest())

    def test_file_that_is_not_there(self):
        with self.assertRaisesRegex(VmError, "No such file"):
            self.guest.read_file("/no/such/file")

    # --- vsock ---

    def echo(self, size: int, count: int, cid: int = HOST_CID, port: int = PORT):
        return self.guest.run(["vsock_echo", "call", str(cid), str(port), str(size), str(count)])

    def check_echo(self, size: int, count: int, **where):
        done = self.echo(size, count, **where)
        self.assertEqual(done.stderr.decode(), "")
        self.assertEqual(done.stdout.decode(), f"echoed {count} messages of {size} bytes\n")

    def test_vsock_carries_messages_to_the_host(self):
        with testing.EchoListener(Path(f"{self.uds}_{PORT}")) as host:
            self.check_echo(64, 100)
            self.check_echo(1 << 20, 3)
            self.assertEqual(host.connections, 2)

    def test_vsock_port_that_nobody_listens_on(self):
        done = self.echo(64, 1, port=PORT + 1)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr.decode(), "connecting: (Connection timed out|Connection reset)")

    def test_host_side_comes_and_goes_while_the_guest_lives(self):
        path = Path(f"{self.uds}_{PORT}")
        for _ in range(3):
            with testing.EchoListener(path):
                self.check_echo(64, 1)

    def test_vsock_within_the_guest(self):
        server = self.guest.start(["vsock_echo", "serve", "4412"])
        self.assertEqual(server.read_line(), b"listening\n", server.output()[1])
        self.check_echo(100_000, 5, cid=1, port=4412)
        self.assertEqual(server.wait(), 0)


class GuestOn61(GuestTests, testing.OnKernel):
    kernel = "6.1"


class GuestOn612(GuestTests, testing.OnKernel):
    kernel = "6.12"


class LifeAndDeath(unittest.TestCase):
    """Guests that begin and end in every way."""

    @classmethod
    def setUpClass(cls):
        testing.need_parts("6.1")

    def setUp(self):
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory(prefix="vm-test-")))

    def test_two_guests_at_once_each_with_its_own_host_side(self):
        paths = [self.folder / "a.sock", self.folder / "b.sock"]
        files = [(testing.echo_program(), "/bin/vsock_echo")]
        guests = [Guest("6.1", vsock_uds=p, guest_cid=c, files=files) for p, c in zip(paths, (7, 8))]
        boots = [threading.Thread(target=guest.boot) for guest in guests]
        try:
            for boot in boots:
                boot.start()
            for boot in boots:
                boot.join()
            for guest, path, count in zip(guests, paths, (2, 3)):
                with testing.EchoListener(Path(f"{path}_{PORT}")) as host:
                    done = guest.run(["vsock_echo", "call", "2", str(PORT), "64", str(count)])
                    self.assertEqual(done.stdout.decode(), f"echoed {count} messages of 64 bytes\n")
                    self.assertEqual(host.connections, 1)
        finally:
            for guest in guests:
                guest.close()

    def test_close_leaves_nothing(self):
        guest = Guest("6.1", vsock_uds=self.folder / "v.sock").boot()
        pids, folder = guest.pids, Path(guest._folder.name)
        self.assertEqual([testing.is_alive(pid) for pid in pids], [True, True])
        guest.close()
        guest.close()
        self.assertEqual([testing.is_alive(pid) for pid in pids], [False, False])
        self.assertFalse(folder.exists())
        self.assertEqual(list(self.folder.iterdir()), [])
        with self.assertRaisesRegex(VmError, "not running"):
            guest.run(["true"])

    def test_guest_that_dies_in_a_command(self):
        with Guest("6.1") as guest:
            waiting = guest.start(["sleep", "1000"])
            with self.assertRaisesRegex(GuestGone, "the guest stopped"):
                guest.run(["poweroff", "-f"])
            with self.assertRaises(GuestGone):
                waiting.wait(5)
            with self.assertRaises(GuestGone):
                guest.run(["true"])

    def test_accelerator_that_does_not_work_is_passed_over(self):
        # Whether KVM works here is not ours to know; one of the two must, and the guest says which did.
        with Guest("6.1", accelerators=["kvm", "tcg"]) as guest:
            self.assertIn(guest.description.accelerator, ("kvm", "tcg"))
            self.assertEqual(guest.run(["echo", "up"]).stdout, b"up\n")

    def test_boot_that_fails_shows_the_console(self):
        init = self.folder / "init"
        init.write_text("#!/bin/sh\nexit 1\n")
        init.chmod(0o755)
        guest = Guest("6.1", files=[(init, "/init")], accelerators=["tcg"], boot_timeout=60)
        with self.assertRaises(BootFailed) as failed:
            guest.boot()
        self.assertIn("did not boot: QEMU ended with 0", str(failed.exception))
        self.assertIn("Kernel panic", str(failed.exception))
        self.assertEqual(guest.pids, [])

    def test_boot_that_takes_too_long(self):
        with self.assertRaisesRegex(BootFailed, "not up after 0.2 s"):
            Guest("6.1", boot_timeout=0.2, accelerators=["tcg"]).boot()

    def test_vsock_paths_that_cannot_work(self):
        taken = self.folder / "taken"
        taken.write_text("")
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(str(self.folder / "live"))
            other.listen()
            for path, why in (
                (taken, "not a socket"),
                (self.folder / "live", "in use"),
                (self.folder / "no" / "folder", "does not exist"),
                (self.folder / ("long" * 30), "too long"),
            ):
                with self.assertRaisesRegex(VmError, why):
                    Guest("6.1", vsock_uds=path).boot()


class CommandLine(unittest.TestCase):
    """run-in-vm as the demonstration calls it."""

    @classmethod
    def setUpClass(cls):
        testing.need_parts("6.1")

    def setUp(self):
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory(prefix="vm-test-")))

    def command(self, *arguments) -> list[str]:
        return [str(testing.RUN_IN_VM), *map(str, arguments)]

    def run_in_vm(self, *arguments, **settings: str) -> subprocess.CompletedProcess:
        env = testing.environment(TMPDIR=str(self.folder), **settings)
        return subprocess.run(self.command(*arguments), capture_output=True, env=env, timeout=200)

    def start(self, *arguments) -> subprocess.Popen:
        """Starts run-in-vm with a command that says "up" and sleeps; returns when it has said so."""
        process = subprocess.Popen(
            self.command(*arguments, "--", "sh", "-c", "echo up; sleep 1000"),
            stdout=subprocess.PIPE,
            env=testing.environment(TMPDIR=str(self.folder)),
        )
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.assertEqual(process.stdout.readline(), b"up\n")
        return process

    def test_passes_everything_through(self):
        data = self.folder / "data.bin"
        data.write_bytes(os.urandom(100_000))
        facts, console = self.folder / "facts.json", self.folder / "console.txt"
        script = 'cat /data.bin; printf "\\000\\377$X" >&2; exit 42'
        done = self.run_in_vm(
            *("--file", data, "--env", "X=e=f", "--describe", facts, "--console", console),
            *("--memory", "300M", "--", "sh", "-c", script),
        )
        self.assertEqual(done.stderr, b"\0\xffe=f")
        self.assertEqual(done.stdout == data.read_bytes(), True)
        self.assertEqual(done.returncode, 42)
        described = json.loads(facts.read_text())
        self.assertRegex(described["kernel"], r"^6\.1\.")
        self.assertEqual(described["machine"], "x86_64")
        self.assertGreater(described["boot_seconds"], 0.1)
        self.assertTrue(console.exists())
        self.assertEqual(sorted(self.folder.iterdir()), sorted([data, facts, console]))

    def test_signal_that_ends_the_command(self):
        self.assertEqual(self.run_in_vm("--", "sh", "-c", "kill -KILL $$").returncode, 128 + 9)

    def test_time_limit(self):
        done = self.run_in_vm("--timeout", "1", "--", "sh", "-c", "echo begun; sleep 1000")
        self.assertEqual((done.returncode, done.stdout), (124, b"begun\n"))
        self.assertIn(b"did not end within 1 s", done.stderr)
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_ending_the_tool_ends_the_guest(self):
        for number, code in ((signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGKILL, -9)):
            with self.subTest(number.name):
                process = self.start("--vsock-uds", self.folder / "v.sock")
                parts_of_guest = testing.children(process.pid)
                self.assertEqual(len(parts_of_guest), 2)
                process.send_signal(number)
                self.assertEqual(process.wait(30), code)
                gone = lambda: not any(testing.is_alive(pid) for pid in parts_of_guest)
                self.assertTrue(testing.wait_until(gone, 10), "QEMU or the vsock device lives on")
                if number != signal.SIGKILL:
                    self.assertEqual(list(self.folder.iterdir()), [])

    def test_missing_parts_say_what_to_do(self):
        empty = self.folder / "empty"
        empty.mkdir()
        done = self.run_in_vm("--", "true", VACCEL_PARTS=str(empty))
        self.assertEqual((done.returncode, done.stdout), (125, b""))
        self.assertIn(f"{empty}/kernel-6.1/vmlinuz is missing", done.stderr.decode())
        self.assertIn("run scripts/setup --for vm", done.stderr.decode())

    def test_check_says_what_is_missing_and_boots_nothing(self):
        done = self.run_in_vm("--check")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, b"", b""))
        done = self.run_in_vm("--check", VACCEL_PARTS=str(self.folder))
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        self.assertIn(f"{self.folder}/kernel-6.1/vmlinuz is missing", done.stdout.decode())

    def test_missing_vsock_device_says_what_to_do(self):
        from vaccel_vm import parts

        some = self.folder / "some"
        some.mkdir()
        (some / "kernel-6.1").symlink_to(parts.parts_dir() / "kernel-6.1")
        done = self.run_in_vm("--vsock-uds", self.folder / "v", "--", "true", VACCEL_PARTS=str(some))
        self.assertEqual(done.returncode, 125)
        self.assertRegex(done.stderr.decode(), "vhost-device-vsock is missing.*run scripts/setup --for vm")

    def test_unknown_kernel_and_missing_file(self):
        self.assertIn(b"kernel 5.0 is not there", self.run_in_vm("--kernel", "5.0", "--", "true").stderr)
        done = self.run_in_vm("--file", "/no/such/photo.png", "--", "true")
        self.assertEqual(done.returncode, 125)
        self.assertIn(b"/no/such/photo.png, which is to go into the guest as /photo.png,", done.stderr)


if __name__ == "__main__":
    unittest.main()
