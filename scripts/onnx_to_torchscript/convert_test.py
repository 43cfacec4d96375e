# SPDX-License-Identifier: Apache-2.0
"""Looks into the archives; that LibTorch reads and runs them is tested with the torch backend."""

import io
import pickletools
import unittest
import zipfile
from unittest import SkipTest

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from fetch_parts.places import parts_folder
from onnx_to_torchscript import UnsupportedGraph, convert

MODELS = parts_folder() / "models"


def model(nodes, inputs, outputs, constants=()):
    def info(name):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "g", [info(name) for name in inputs], [info(name) for name in outputs],
                              [numpy_helper.from_array(np.asarray(values), name) for name, values in constants])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])


def opened(content: bytes) -> zipfile.ZipFile:
    return zipfile.ZipFile(io.BytesIO(content))


def code_of(content: bytes) -> str:
    return opened(content).read("model/code/__torch__.py").decode()


class Archive(unittest.TestCase):
    def test_buffers_are_stored_as_they_are(self):
        weights = np.arange(6, dtype=np.float32).reshape(2, 3)
        archive = opened(convert(model([helper.make_node("Add", ["x", "w"], ["y"])], ["x"], ["y"], [("w", weights)])))
        self.assertIsNone(archive.testzip())
        self.assertEqual(archive.read("model/data/0"), weights.tobytes())
        self.assertTrue(all(entry.compress_type == zipfile.ZIP_STORED for entry in archive.infolist()))
        operations = [(operation.name, argument) for operation, argument, _ in
                      pickletools.genops(archive.read("model/data.pkl"))]
        integers = [argument for name, argument in operations if name == "BININT"]
        self.assertEqual(integers, [6, 0, 2, 3, 3, 1])  # count; offset; sizes; strides
        self.assertEqual(operations.count(("BINPERSID", None)), 1)
        self.assertEqual(operations[-1], ("STOP", None))

    def test_the_same_every_time(self):
        made = model([helper.make_node("Relu", ["x"], ["y"])], ["x"], ["y"])
        self.assertEqual(convert(made), convert(made))


class Code(unittest.TestCase):
    def test_uneven_padding_becomes_an_operation_of_its_own(self):
        weights = np.zeros((1, 1, 3, 3), np.float32)
        node = helper.make_node("Conv", ["x", "w"], ["y"], pads=[0, 1, 2, 3], strides=[2, 2])
        code = code_of(convert(model([node], ["x"], ["y"], [("w", weights)])))
        self.assertIn("    y = torch.conv2d(torch.constant_pad_nd(x, [1, 3, 0, 2], 0.), self.buffer_0, None, [2, 2], "
                      "[0, 0], [1, 1], 1)\n", code)

    def test_names_that_are_none_in_code_are_replaced(self):
        nodes = [helper.make_node("Relu", ["class"], ["a/b"]), helper.make_node("Relu", ["a/b"], ["self"])]
        code = code_of(convert(model(nodes, ["class"], ["self"])))
        self.assertIn("value_0: Tensor) -> Tensor:\n    value_1 = torch.relu(value_0)\n"
                      "    value_2 = torch.relu(value_1)\n    return value_2\n", code)

    def test_several_outputs_are_a_tuple(self):
        nodes = [helper.make_node("Relu", ["x"], ["a"]), helper.make_node("Sigmoid", ["x"], ["b"])]
        code = code_of(convert(model(nodes, ["x"], ["a", "b"])))
        self.assertIn("-> Tuple[Tensor, Tensor]:", code)
        self.assertIn("    return (a, b)\n", code)

    def test_mobilenet(self):
        from tflite_to_onnx import Model
        from tflite_to_onnx import convert as to_onnx
        file = MODELS / "mobilenet_v1_1.0_224.tflite"
        if not file.is_file():
            raise SkipTest(f"{file} is not there; scripts/setup fetches it")
        original = to_onnx(Model(file))
        content = convert(original)
        code = code_of(content)
        self.assertEqual((code.count("torch.conv2d("), code.count("torch.clamp(")), (28, 27))
        stored = [entry.file_size for entry in opened(content).infolist() if entry.filename.startswith("model/data/")]
        read = {name for node in original.graph.node if node.op_type == "Conv" for name in node.input[1:]}
        weights = [4 * int(np.prod(constant.dims)) for constant in original.graph.initializer if constant.name in read]
        self.assertEqual((len(stored), sum(stored)), (56, sum(weights)))

    def test_what_is_not_known_is_named(self):
        with self.assertRaisesRegex(UnsupportedGraph, "FluxCapacitor is not known; known are Add, "):
            convert(model([helper.make_node("FluxCapacitor", ["x"], ["y"])], ["x"], ["y"]))
        with self.assertRaisesRegex(UnsupportedGraph, "s is computed; here it must be a constant"):
            convert(model([helper.make_node("Reshape", ["x", "s"], ["y"])], ["x", "s"], ["y"]))
        with self.assertRaisesRegex(UnsupportedGraph, "a constant of int64 is used as a tensor"):
            convert(model([helper.make_node("Add", ["x", "w"], ["y"])], ["x"], ["y"], [("w", np.array([1]))]))


if __name__ == "__main__":
    unittest.main()
