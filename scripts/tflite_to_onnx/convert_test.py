# SPDX-License-Identifier: Apache-2.0
"""Converts the real models and checks what ONNX itself says about the results."""

import tempfile
import unittest
from collections import Counter
from pathlib import Path
from unittest import SkipTest

import numpy as np
from onnx import numpy_helper, shape_inference

from fetch_parts.places import parts_folder
from tflite_to_onnx import Model, UnsupportedModel, convert
from tflite_to_onnx.operators import SAME, VALID, padding

MODELS = parts_folder() / "models"


def read_model(name: str) -> Model:
    if not (MODELS / name).is_file():
        raise SkipTest(f"{MODELS / name} is not there; scripts/setup fetches it")
    return Model(MODELS / name)


def shapes(values) -> dict[str, list[int]]:
    return {value.name: [dimension.dim_value for dimension in value.type.tensor_type.shape.dim] for value in values}


class Converted(unittest.TestCase):
    def check(self, name: str, inputs: dict, outputs: dict, kinds: dict):
        model = read_model(name)
        converted = convert(model, "nchw", int8_weights=True)
        self.assertEqual(shapes(converted.graph.input), inputs)
        self.assertEqual(shapes(converted.graph.output), outputs)
        counted = Counter(node.op_type for node in converted.graph.node)
        self.assertEqual({kind: counted[kind] for kind in kinds}, kinds)
        # What ONNX infers for every value must be what TensorFlow Lite noted for the tensor.
        inferred = shapes(shape_inference.infer_shapes(converted, check_type=True, strict_mode=True).graph.value_info)
        compared = 0
        for index, tensor in enumerate(model.tensors):
            if f"tensor_{index}" in inferred:
                self.assertEqual(inferred[f"tensor_{index}"], tensor.shape, tensor.name)
                compared += 1
        return converted, compared

    def test_mobilenet(self):
        converted, _ = self.check("mobilenet_v1_1.0_224.tflite", {"input": [1, 3, 224, 224]},
                                  {"MobilenetV1/Predictions/Reshape_1": [1, 1001]},
                                  {"Conv": 28, "Clip": 27, "AveragePool": 1, "Softmax": 1, "Transpose": 1})
        self.assertLess(converted.ByteSize(), 4_500_000)

    def test_ssd(self):
        self.check("ssd_mobilenet.tflite", {"normalized_input_image_tensor": [1, 3, 300, 300]},
                   {"boxes": [1, 1917, 4], "scores": [1, 1917, 91]}, {"Conv": 47, "Sigmoid": 1, "Exp": 0})

    def test_deeplab(self):
        _, compared = self.check("deeplabv3_257_mv_gpu.tflite", {"sub_7": [1, 3, 257, 257]},
                                 {"ResizeBilinear_3": [1, 257, 257, 21]}, {"Conv": 55, "Add": 10, "Resize": 3})
        self.assertGreater(compared, 0)

    def test_posenet(self):
        self.check("posenet_mv1_075_float_from_checkpoints.tflite", {"image": [1, 3, 337, 337]},
                   {"heatmap_2": [1, 22, 22, 17], "offset_2": [1, 22, 22, 34], "displacement_fwd_2": [1, 22, 22, 32],
                    "displacement_bwd_2": [1, 22, 22, 32]}, {"Conv": 31, "Transpose": 4})

    def test_inputs_with_channels_last(self):
        converted = convert(read_model("mobilenet_v1_1.0_224.tflite"), "nhwc")
        self.assertEqual(shapes(converted.graph.input), {"input": [1, 224, 224, 3]})
        self.assertEqual(converted.graph.node[0].op_type, "Transpose")

    def test_opset_10_for_opencv(self):
        converted = convert(read_model("mobilenet_v1_1.0_224.tflite"), opset=10)
        self.assertEqual((converted.opset_import[0].version, converted.ir_version), (10, 5))
        clips = [node for node in converted.graph.node if node.op_type == "Clip"]
        self.assertEqual({(len(node.input), *sorted((each.name, each.f) for each in node.attribute)) for node in clips},
                         {(1, ("max", 6.0), ("min", 0.0))})
        self.assertEqual(len(clips), 27)

    def test_opset_10_says_what_it_cannot(self):
        with self.assertRaisesRegex(UnsupportedModel, "opset 10 has no bilinear resizing"):
            convert(read_model("deeplabv3_257_mv_gpu.tflite"), opset=10)
        with self.assertRaisesRegex(UnsupportedModel, "opset 10 has no weights of eight bits"):
            convert(read_model("mobilenet_v1_1.0_224.tflite"), int8_weights=True, opset=10)
        with self.assertRaises(ValueError):
            convert(read_model("mobilenet_v1_1.0_224.tflite"), opset=12)

    def test_the_same_every_time(self):
        model = read_model("mobilenet_v1_1.0_224.tflite")
        self.assertEqual(convert(model, "nchw", True).SerializeToString(),
                         convert(model, "nchw", True).SerializeToString())

    def test_eight_bit_weights_are_close(self):
        model = read_model("mobilenet_v1_1.0_224.tflite")
        small, exact = convert(model, "nchw", True).graph, convert(model, "nchw").graph
        stored = {constant.name: constant for constant in small.initializer}
        quantised = [node for node in small.node if node.op_type == "DequantizeLinear"]
        self.assertEqual(len(quantised), 28)
        weights = [numpy_helper.to_array(constant) for constant in exact.initializer if len(constant.dims) == 4]
        for node, original in zip(quantised, weights, strict=True):
            values, scales, _ = (numpy_helper.to_array(stored[name]) for name in node.input)
            scales = scales.reshape(-1, 1, 1, 1)
            # Rounding is off by half a step at most; a step is a 127th of the channel's largest weight.
            self.assertLessEqual(np.max(np.abs(values * scales - original) / scales), 0.5001)


class Padding(unittest.TestCase):
    """Against TensorFlow's definition: as many outputs as the input has strides, the odd pixel at the end."""

    def test_valid_pads_nothing(self):
        self.assertEqual(padding(VALID, (7, 7), (3, 3), (2, 2), (1, 1)), [0, 0, 0, 0])

    def test_same_gives_the_right_number_of_outputs(self):
        for size in range(1, 20):
            for kernel in range(1, 6):
                for stride in range(1, 4):
                    for dilation in range(1, 3):
                        top, left, bottom, right = padding(SAME, (size, size), (kernel, kernel), (stride, stride),
                                                           (dilation, dilation))
                        self.assertEqual((top, bottom), (left, right))
                        self.assertIn(bottom - top, (0, 1))
                        extent = (kernel - 1) * dilation + 1
                        if size + top + bottom >= extent:
                            self.assertEqual((size + top + bottom - extent) // stride + 1, -(-size // stride))

    def test_each_axis_has_its_own(self):
        self.assertEqual(padding(SAME, (224, 5), (3, 5), (2, 1), (1, 1)), [0, 2, 1, 2])


class Refused(unittest.TestCase):
    def file_with(self, content: bytes) -> Path:
        file = tempfile.NamedTemporaryFile(suffix=".tflite")
        self.addCleanup(file.close)
        file.write(content)
        file.flush()
        return Path(file.name)

    def test_other_files(self):
        for content in (b"", b"\x89PNG\r\n\x1a\n", b"text of some length"):
            with self.assertRaisesRegex(UnsupportedModel, "is no TensorFlow Lite file"):
                Model(self.file_with(content))

    def test_truncated(self):
        whole = Path(read_model("posenet_mv1_075_float_from_checkpoints.tflite") and
                     MODELS / "posenet_mv1_075_float_from_checkpoints.tflite").read_bytes()
        for length in (8, 100, len(whole) // 2):
            with self.assertRaisesRegex(UnsupportedModel, "damaged|schema version"):
                Model(self.file_with(whole[:length]))

    def test_unknown_operator_is_named(self):
        model = read_model("mobilenet_v1_1.0_224.tflite")
        model.operators[-1].name = "FLUX_CAPACITOR"
        with self.assertRaisesRegex(UnsupportedModel, "FLUX_CAPACITOR is not known; known are ADD, "):
            convert(model)

    def test_unknown_layout(self):
        with self.assertRaises(ValueError):
            convert(read_model("mobilenet_v1_1.0_224.tflite"), "chwn")


if __name__ == "__main__":
    unittest.main()
