# SPDX-License-Identifier: Apache-2.0
"""The whole path: a program in a guest, which names no endpoint, has the host say what a photo shows."""

import json
import subprocess
import unittest

from vaccel_vm import agent, parts, testing


def build_classify_again(folder):
    """guest/classify_again.c, linked against the library as a function's author would."""
    library = parts.build_dir() / "lib" / "libvaccel.so.0"
    program = folder / "classify_again"
    include = parts.TREE / "include"
    source = parts.GUEST_SOURCES / "classify_again.c"
    subprocess.run([parts.compiler(), "-std=c11", f"-I{include}", source, library, "-o", program], check=True)
    return program


class ClassifyTests:
    """What holds on each kernel; see testing.OnKernel."""

    @classmethod
    def setUpClass(cls):
        agent.need_build("vaccel", "vacceld", "vaccel-worker")
        super().setUpClass()
        cls.agent = cls.enterClassContext(agent.Agent(cls.folder, cls.uds))

    @classmethod
    def files(cls):
        return [
            (agent.photo("chelsea.png"), "/photo.png"),
            (agent.photo("astronaut.png"), "/astronaut.png"),
            (build_classify_again(cls.folder), "/bin/classify_again"),
        ]

    def vaccel(self, *arguments: str) -> dict:
        """What `vaccel --json` says in the guest."""
        done = self.guest.run(["vaccel", "--json", *arguments], timeout=120)
        self.assertEqual((done.returncode, done.stderr.decode()), (0, ""), self.agent.log())
        return json.loads(done.stdout)

    def test_finds_the_agent_and_the_cat(self):
        said = self.vaccel("classify", "/photo.png")
        self.assertEqual(said["endpoint"], "vsock:2:4411")
        self.assertEqual(said["model"], "mobilenet")
        self.assertEqual((said["classes"][0]["index"], said["classes"][0]["label"]), (286, "Egyptian cat"))
        self.assertGreater(said["timings"]["total_us"], said["timings"]["infer_us"])

    def test_scores_are_those_of_local_mode(self):
        for name, there in (("chelsea.png", "/photo.png"), ("astronaut.png", "/astronaut.png")):
            with self.subTest(name):
                local = agent.run_locally("classify", agent.photo(name), config=self.agent.config)
                remote = self.vaccel("classify", there)
                self.assertEqual(len(local["classes"]), 5)
                for ours, theirs in zip(remote["classes"], local["classes"], strict=True):
                    self.assertEqual((ours["index"], ours["label"]), (theirs["index"], theirs["label"]))
                    self.assertAlmostEqual(ours["score"], theirs["score"], delta=1e-5)

    def test_processes_at_once_get_their_own_results(self):
        photos = ["/photo.png", "/astronaut.png"] * 3
        alone = {photo: self.vaccel("classify", photo)["classes"][0]["label"] for photo in set(photos)}
        self.assertEqual(len(set(alone.values())), 2)
        running = [self.guest.start(["vaccel", "--json", "classify", photo]) for photo in photos]
        for photo, process in zip(photos, running):
            self.assertEqual(process.wait(120), 0, process.output()[1])
            self.assertEqual(json.loads(process.output()[0])["classes"][0]["label"], alone[photo])

    def test_same_process_calls_again_after_the_agent_was_killed(self):
        process = self.guest.start(["classify_again", "/photo.png"])
        self.assertEqual(process.read_line(), b"session with vsock:2:4411\n", process.output()[1])

        def call() -> bytes:
            process.write(b"\n")
            return process.read_line(120)

        self.assertEqual(call(), b"ok Egyptian cat\n")
        self.agent.kill()
        try:
            self.assertRegex(call(), rb"^UNAVAILABLE .")
        finally:
            self.agent.start()
        self.assertEqual(call(), b"ok Egyptian cat\n", self.agent.log())
        self.agent.kill()
        self.agent.start()  # this time it is back before anybody has noticed
        self.assertEqual(call(), b"ok Egyptian cat\n", self.agent.log())
        process.close_stdin()
        self.assertEqual(process.wait(), 0)

    def test_no_agent_is_a_clear_error(self):
        self.agent.kill()
        try:
            done = self.guest.run(["vaccel", "--endpoint", "vsock:2:4411", "ping"], timeout=60)
        finally:
            self.agent.start()
        self.assertNotEqual(done.returncode, 0)
        self.assertEqual(done.stdout, b"")
        self.assertIn("vsock:2:4411", done.stderr.decode())

    def test_picture_that_is_none(self):
        done = self.guest.run(["vaccel", "classify", "/bin/classify_again"], timeout=60)
        self.assertNotEqual(done.returncode, 0)
        self.assertRegex(done.stderr.decode(), "(?i)image|png|jpeg")
        self.assertEqual(self.vaccel("classify", "/photo.png")["classes"][0]["label"], "Egyptian cat")


class ClassifyOn61(ClassifyTests, testing.OnKernel):
    kernel = "6.1"


class ClassifyOn612(ClassifyTests, testing.OnKernel):
    kernel = "6.12"


if __name__ == "__main__":
    unittest.main()
