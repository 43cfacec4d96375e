# SPDX-License-Identifier: Apache-2.0
import hashlib
import os
import subprocess
import tempfile
import tomllib
import unittest
from pathlib import Path

from fetch_parts.archives_for_tests import with_mounts
from fetch_parts.places import parts_folder

SCRIPTS = Path(__file__).resolve().parent
MODELS = parts_folder() / "models"


class Catalogue(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.entry = self.folder / "catalogue/mobilenet"
        self.original = self.folder / "catalogue/mobilenet-tflite"

    def make(self, **variables) -> subprocess.CompletedProcess:
        if "VACCEL_PARTS" not in variables and not MODELS.is_dir():
            self.skipTest(f"{MODELS} is not there; scripts/setup fetches it")
        environment = os.environ | {"VACCEL_CATALOGUE": str(self.folder / "catalogue")} | variables
        return subprocess.run([SCRIPTS / "make-catalogue"], env=environment, capture_output=True, text=True)

    def test_describes_what_lies_beside_it(self):
        done = self.make()
        self.assertEqual(done.returncode, 0, done.stderr)
        entries = sorted(path.name for path in (self.folder / "catalogue").iterdir() if path.is_dir())
        self.assertLessEqual({"mobilenet", "ssd-mobilenet", "deeplabv3", "posenet", "fastdepth"}, set(entries))
        for name in entries:
            with self.subTest(name):
                folder = self.folder / "catalogue" / name
                described = tomllib.loads((folder / "model.toml").read_text())
                self.assertEqual(described["name"], name)
                files = [(described["model"]["file"], described["model"]["sha256"])]
                decoded = described.get(described["task"], {})
                if "labels" in decoded:
                    files.append((decoded["labels"], decoded["labels_sha256"]))
                for file, expected in files:
                    self.assertEqual(hashlib.sha256((folder / file).read_bytes()).hexdigest(), expected)
                self.assertEqual({path.name for path in folder.iterdir()},
                                 {".made-from", "model.toml"} | {file for file, _ in files})
        labels = (self.entry / "labels.txt").read_text().splitlines()
        self.assertEqual((len(labels), labels[286]), (1001, "Egyptian cat"))
        self.assertEqual((self.original / "model.tflite").read_bytes(), (MODELS / "mobilenet_v1_1.0_224.tflite").read_bytes())

    def test_constants_that_nothing_uses_are_left_out(self):
        import onnx
        self.assertEqual(self.make().returncode, 0)
        graph = onnx.load(self.folder / "catalogue/fastdepth/model.onnx").graph
        before = onnx.load(MODELS / "fastdepth.onnx").graph
        used = {name for node in graph.node for name in node.input}
        self.assertEqual({constant.name for constant in graph.initializer} - used, set())
        self.assertLess(len(graph.initializer), len(before.initializer))
        self.assertEqual(graph.node, before.node)

    def test_edges_of_integers(self):
        import onnx
        self.assertEqual(self.make().returncode, 0)

        def edges(name: str) -> list[tuple[str, str, list[int]]]:
            graph = onnx.load(self.folder / "catalogue" / name / "model.onnx").graph
            return [(edge.name, onnx.TensorProto.DataType.Name(edge.type.tensor_type.elem_type),
                     [size.dim_value for size in edge.type.tensor_type.shape.dim])
                    for edge in (*graph.input, *graph.output)]

        floats = edges("mobilenet")
        self.assertEqual({kind for _, kind, _ in floats}, {"FLOAT"})
        self.assertEqual(edges("mobilenet-uint8"), [(name, "UINT8", shape) for name, _, shape in floats])
        # dim_value of an open dimension is 0.
        self.assertEqual(edges("mobilenet-batch"), [(name, "FLOAT", [0, *shape[1:]]) for name, _, shape in floats])
        self.assertEqual(edges("deeplabv3-classes"), [("sub_7", "FLOAT", [1, 3, 257, 257]),
                                                      ("classes", "INT64", [1, 257, 257])])

    def test_is_made_once(self):
        self.make()
        before = (self.entry / "model.onnx").stat()
        done = self.make()
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
        self.assertEqual((self.entry / "model.onnx").stat(), before)

    def test_is_made_again_where_a_file_is_gone_or_the_stamp_is_old(self):
        self.make()
        (self.entry / "labels.txt").unlink()
        (self.original / "model.tflite").unlink()
        again = self.make().stdout
        self.assertIn("catalogue entry mobilenet ", again)
        self.assertIn("catalogue entry mobilenet-tflite ", again)
        self.assertTrue((self.original / "model.tflite").is_file())
        self.assertTrue((self.entry / "labels.txt").is_file())
        (self.entry / ".made-from").write_text("something else")
        self.assertIn("catalogue entry mobilenet", self.make().stdout)

    def test_missing_model_says_what_to_do(self):
        done = self.make(VACCEL_PARTS=str(self.folder / "nowhere"))
        self.assertEqual(done.returncode, 1)
        self.assertIn("mobilenet_v1_1.0_224.tflite is not there; run scripts/setup first", done.stderr)

    def test_damaged_model_is_no_traceback(self):
        models = self.folder / "parts/models"
        models.mkdir(parents=True)
        (models / "mobilenet_v1_1.0_224.txt").write_text("background\n")
        (models / "mobilenet_v1_1.0_224.tflite").write_bytes(b"not a model")
        done = self.make(VACCEL_PARTS=str(self.folder / "parts"))
        self.assertEqual(done.returncode, 1)
        self.assertIn("is no TensorFlow Lite file", done.stderr)
        self.assertNotIn("Traceback", done.stderr)
        self.assertFalse(self.entry.exists())

    def test_full_disk(self):
        (self.folder / "catalogue").mkdir()
        if not MODELS.is_dir():
            self.skipTest(f"{MODELS} is not there; scripts/setup fetches it")
        done = subprocess.run(with_mounts(f"mount -t tmpfs -o size=1m none {self.folder}/catalogue",
                                          [SCRIPTS / "make-catalogue"]),
                              env=os.environ | {"VACCEL_CATALOGUE": str(self.folder / "catalogue")},
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, "cannot write .*catalogue: No space left on device; .*VACCEL_CATALOGUE")


if __name__ == "__main__":
    unittest.main()
