# SPDX-License-Identifier: Apache-2.0
"""The workers' jail on kernels and with control groups that the machine itself need not have: tests/integration/jail_test.cpp,
whole, as root of a guest whose control groups are of version 2."""

import os
import re
import shutil
import unittest
from pathlib import Path

from vaccel_vm import agent, parts, testing

TESTS = Path(os.environ.get("VACCEL_TEST_PROGRAMS") or parts.build_dir() / "release" / "tests")
GUEST_BUILD = "/opt/vaccel"

# A guest starts on the kernel's first file system, which no process may leave behind for another: what there is moves to one that can
# be, as a distribution's own start does it. Control groups then are those of a host that runs systemd.
IN_A_ROOT_OF_ITS_OWN = """\
set -e
mkdir -p /new
mount -t tmpfs -o size=75% root /new
for entry in /bin /etc /lib* /root /usr /opt "$TESTS_TOP"; do cp -a "$entry" /new/; done
for entry in /dev /proc /run /sys /tmp; do mkdir "/new$entry"; mount --move "$entry" "/new$entry"; done
mount -t cgroup2 groups /new/sys/fs/cgroup
cd /new
mount --move . /
exec chroot . sh -c "$@"
"""

# Below this one each agent is alone in a group, as systemd makes it for a service with Delegate=yes.
DELEGATED = """\
echo "+memory +cpu +pids" > /sys/fs/cgroup/cgroup.subtree_control
mkdir /sys/fs/cgroup/agents
echo "+memory +cpu +pids" > /sys/fs/cgroup/agents/cgroup.subtree_control
export VACCEL_TEST_AGENT_GROUPS=/sys/fs/cgroup/agents
"""


# A group that others are in as well, such as that of somebody who has logged in.
SHARED = """\
echo "+memory +cpu +pids" > /sys/fs/cgroup/cgroup.subtree_control
mkdir /sys/fs/cgroup/session
echo $$ > /sys/fs/cgroup/session/cgroup.procs
"""


class JailTests:
    """`chosen`: of jail_test.cpp, where the agent is in a group of its own."""

    chosen = "Jail.*"
    memory = "2G"  # its files are there twice, see above

    @classmethod
    def setUpClass(cls):
        cls.programs = agent.need_build("vacceld", "vaccel-worker", "vaccelctl")
        cls.test = TESTS / "integration_jail"
        if not cls.test.exists():
            raise unittest.SkipTest(f"skipped: {cls.test} has not been built")
        super().setUpClass()
        cls.guest.write_file("/etc/shadow", b"root:*:20000::::::\n", 0o600)  # for nobody to read

    @classmethod
    def files(cls):
        backend = "lib/vaccel/backends/libvaccel-backend-reference.so"
        tools = [Path(shutil.which(name)) for name in ("setpriv", "unshare")]
        return [
            *((program, f"{GUEST_BUILD}/bin/{program.name}") for program in cls.programs),
            *((parts.build_dir() / file, f"{GUEST_BUILD}/{file}") for file in (backend,)),
            *((tool, f"/usr/bin/{tool.name}") for tool in tools),
            (cls.test, str(cls.test)),
            (cls.test.parent / "prisoner", str(cls.test.parent / "prisoner")),
            *((file, file) for file in ("/etc/ld.so.cache", "/etc/passwd", "/etc/group")),
        ]

    def run_suite(self, prepare: str, chosen: str, skips: bool = False) -> str:
        script = f"{prepare}\nexec {self.test} --gtest_filter={chosen}"
        done = self.guest.run(
            ["unshare", "--mount", "sh", "-c", IN_A_ROOT_OF_ITS_OWN, "sh", script],
            env={
                "VACCEL_TEST_BIN": f"{GUEST_BUILD}/bin",
                "VACCEL_TEST_LIB": f"{GUEST_BUILD}/lib",
                "TESTS_TOP": "/" + self.test.parts[1],
            },
            timeout=600,
        )
        said = (done.stdout + done.stderr).decode(errors="replace")
        self.assertEqual(done.returncode, 0, said)
        if not skips:
            self.assertNotIn("SKIPPED", said)
        return said

    def test_with_a_group_of_its_own(self):
        self.run_suite(DELEGATED, self.chosen)

    def test_in_the_root_group(self):
        self.run_suite("", "Jail.ControlGroups*:Jail.MemoryHasALimit")

    def test_in_a_group_with_others(self):
        said = self.run_suite(SHARED, "Jail.ThereIsNoNetwork:Jail.ControlGroups*", skips=True)
        self.assertIn("has other processes than the agent's, and so cannot be divided", said)


class JailOn61(JailTests, testing.OnKernel):
    kernel = "6.1"
    chosen = ":".join(f"Jail.{name}" for name in (
        "ThereAreNoOtherFiles", "NothingIsWritten*", "OtherProcesses*", "ThreadsHaveALimit", "MemoryHasALimit",
        "ControlGroups*", "WithoutNamespaces*"))


class JailOn612(JailTests, testing.OnKernel):
    kernel = "6.12"


if __name__ == "__main__":
    unittest.main()
