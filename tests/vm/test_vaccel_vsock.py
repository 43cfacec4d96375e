# SPDX-License-Identifier: Apache-2.0
"""The agent's own AF_VSOCK listener, which no test may open on the machine itself: agent, worker and client all run in
one guest and meet over the kernel's vsock loopback."""

import json
import unittest

from vaccel_vm import agent, parts, testing

CONFIG = b"""\
listen = ["vsock:any:4411"]
control = "/control.sock"
[backends]
directory = "/backends"
[backend.reference]
faults = true
"""


class VsockListenerTests:
    modules = ["vsock_loopback"]

    @classmethod
    def setUpClass(cls):
        cls.programs = agent.need_build("vacceld", "vaccel-worker", "vaccelctl")
        agent.need_build("vaccel")
        super().setUpClass()
        cls.guest.write_file("/vaccel.toml", CONFIG)
        cls.vacceld = cls.guest.start(["vacceld", "--config", "/vaccel.toml"])

    @classmethod
    def files(cls):
        backend = "libvaccel-backend-reference.so"
        reference = parts.build_dir() / "lib" / "vaccel" / "backends" / backend
        return [(program, f"/bin/{program.name}") for program in cls.programs] + [(reference, f"/backends/{backend}")]

    def vaccel(self, *arguments: str):
        return self.guest.run(["vaccel", "--json", "--endpoint", "vsock:1:4411", *arguments], timeout=60)

    def setUp(self):
        if not testing.wait_until(lambda: self.vaccel("ping").returncode == 0, 60):
            self.fail(f"no agent answers: {self.vaccel('ping').stdout!r} {self.vacceld.output()!r}")

    def test_describes_itself(self):
        said = json.loads(self.vaccel("info").stdout)
        self.assertEqual(said["endpoint"], "vsock:1:4411")
        self.assertIn("reference", json.dumps(said))

    def test_payload_larger_than_one_write_arrives_whole(self):
        # 28 KiB is the most that a client writes at once on vsock; this takes many writes each way.
        values = bytes(range(256)) * 4096
        self.guest.write_file("/data.npy", npy_bytes(values))
        done = self.vaccel("call", "reference.echo", "--input", "x=/data.npy", "--output", "x=/back.npy")
        self.assertEqual(done.returncode, 0, (done.stdout, done.stderr, self.vacceld.output()))
        self.assertTrue(self.guest.read_file("/back.npy").endswith(values))

    def test_dead_worker_is_replaced(self):
        done = self.vaccel("call", "reference.fault", "--attribute", "kind=abort")
        self.assertEqual(done.returncode, 4, (done.stdout, done.stderr))  # UNAVAILABLE
        self.assertEqual(self.vaccel("call", "reference.noop").returncode, 0)

    def vaccelctl(self, *arguments: str):
        done = self.guest.run(["vaccelctl", "--control", "/control.sock", "--json", *arguments], timeout=60)
        self.assertEqual(done.returncode, 0, (done.stdout, done.stderr))
        return json.loads(done.stdout)

    def test_a_vm_is_told_by_its_cid(self):
        self.vaccelctl("vm", "attach", "other", "--cid", "7")
        self.vaccelctl("vm", "attach", "loop", "--cid", "1", "--memory", "8M")
        self.addCleanup(self.vaccelctl, "vm", "detach", "other")
        ping = ["vaccel", "--endpoint", "vsock:1:4411", "ping", "--count", "1000", "--interval", "100ms"]
        pings = self.guest.start(ping)
        self.addCleanup(pings.kill)

        def sessions():
            return {vm["name"]: vm["sessions"] for vm in self.vaccelctl("vm", "list")["vms"]}

        self.assertTrue(testing.wait_until(lambda: sessions() == {"loop": 1, "other": 0}, 30), sessions())
        self.vaccelctl("vm", "detach", "loop")
        self.assertEqual(sessions(), {"other": 0})
        # Whoever comes from a CID that nobody attached is served like anybody.
        self.assertEqual(self.vaccel("call", "reference.noop").returncode, 0)


def npy_bytes(values: bytes) -> bytes:
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({len(values)},), }}".encode()
    header += b" " * (63 - (10 + len(header)) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + values


class VsockListenerOn61(VsockListenerTests, testing.OnKernel):
    kernel = "6.1"


class VsockListenerOn612(VsockListenerTests, testing.OnKernel):
    kernel = "6.12"


if __name__ == "__main__":
    unittest.main()
