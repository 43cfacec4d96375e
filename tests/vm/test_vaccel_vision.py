# SPDX-License-Identifier: Apache-2.0
"""Each operator on pictures, called from a guest by name: what the host makes of a photo that lies in the guest."""

import tempfile
import unittest
from pathlib import Path

try:
    import numpy
except ImportError:
    numpy = None  # said where it is needed

from vaccel_vm import agent, testing

PHOTOS = {"astronaut": "astronaut.png", "cat": "chelsea.png", "motorcycle": "motorcycle_left.png"}
MODELS = ("ssd-mobilenet", "deeplabv3", "posenet", "fastdepth")


class VisionTests:
    """What holds on each kernel; see testing.OnKernel."""

    @classmethod
    def setUpClass(cls):
        agent.need_build("vaccel", "vacceld", "vaccel-worker")
        if numpy is None:
            raise unittest.SkipTest("there is no NumPy; scripts/setup installs it")
        for model in MODELS:
            if not (agent.catalogue() / model / "model.toml").exists():
                raise unittest.SkipTest(f"the catalogue has no {model}; run scripts/make-catalogue")
        super().setUpClass()
        cls.agent = cls.enterClassContext(agent.Agent(cls.folder, cls.uds))

    @classmethod
    def files(cls):
        """The photos as `vaccel call` takes them: the bytes of each file, as an array."""
        files = []
        for name, photo in PHOTOS.items():
            array = cls.folder / f"{name}.npy"
            numpy.save(array, numpy.fromfile(agent.photo(photo), numpy.uint8))
            files.append((array, f"/{name}.npy"))
        return files

    def call(self, operator: str, model: str, photo: str) -> dict:
        """An operator's results, computed for the guest and fetched from it."""
        done = self.guest.run(["vaccel", "call", operator, "--model", model, "--input", f"/{photo}.npy",
                               "--output-dir", f"/{operator}"], timeout=120)
        self.assertEqual((done.returncode, done.stderr.decode()), (0, ""), self.agent.log())
        names = self.guest.run(["ls", f"/{operator}"], timeout=30).stdout.decode().split()
        results = {}
        with tempfile.TemporaryDirectory() as folder:
            for name in names:
                self.guest.copy_out(f"/{operator}/{name}", Path(folder) / name)
                results[name.removesuffix(".npy")] = numpy.load(Path(folder) / name, allow_pickle=False)
        return results

    def test_detect(self):
        found = self.call("detect", "ssd-mobilenet", "astronaut")
        self.assertEqual((found["index"][0], found["label"][0]), (1, "person"))
        self.assertAlmostEqual(found["score"][0], 0.65, delta=0.03)
        self.assertEqual(found["size"].tolist(), [512, 512])
        self.assertEqual(found["box"].shape, (len(found["score"]), 4))

    def test_segment(self):
        found = self.call("segment", "deeplabv3", "cat")
        self.assertEqual(found["classes"].shape, (300, 451))
        self.assertEqual(found["label"][8], "cat")
        self.assertGreater((found["classes"] == 8).mean(), 0.6)

    def test_pose(self):
        found = self.call("pose", "posenet", "astronaut")
        nose = found["keypoint"][0, list(found["name"]).index("nose")]
        self.assertAlmostEqual(nose[0] / found["size"][0], 0.44, delta=0.03)
        self.assertAlmostEqual(nose[1] / found["size"][1], 0.25, delta=0.03)

    def test_depth(self):
        found = self.call("depth", "fastdepth", "motorcycle")
        self.assertEqual(found["depth"].shape, (500, 741))
        self.assertEqual(found["kind"][0], "metric")
        self.assertGreater(found["depth"][20].mean(), found["depth"][420].mean() + 0.5)

    def test_a_model_of_another_task_is_a_clear_error(self):
        done = self.guest.run(["vaccel", "call", "detect", "--model", "posenet", "--input", "/cat.npy"], timeout=120)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn('its task is "pose"', done.stderr.decode())


class VisionOn61(VisionTests, testing.OnKernel):
    kernel = "6.1"


class VisionOn612(VisionTests, testing.OnKernel):
    kernel = "6.12"


if __name__ == "__main__":
    unittest.main()
