# SPDX-License-Identifier: Apache-2.0
"""An ONNX graph while it is being written: nodes in order, constants, and the names of values."""

import numpy as np
from onnx import NodeProto, helper, numpy_helper

from .tflite import Model, UnsupportedModel

# Smaller constants stay in float32: eight-bit ones would save nothing.
SMALLEST_QUANTISED = 256


class Graph:
    def __init__(self, model: Model, int8_weights: bool, opset: int):
        if int8_weights and opset < 13:
            raise UnsupportedModel(f"opset {opset} has no weights of eight bits with a scale for each channel")
        self.model, self.int8_weights, self.opset = model, int8_weights, opset
        self.nodes: list[NodeProto] = []
        self.constants = {}  # name -> TensorProto
        self.outputs: list[tuple[str, list[int]]] | None = None  # set by an operator that defines the graph's outputs
        self._names = 0

    def name(self, hint: str) -> str:
        self._names += 1
        return f"{hint}_{self._names}"

    def constant(self, values, hint="constant") -> str:
        name = self.name(hint)
        self.constants[name] = numpy_helper.from_array(np.ascontiguousarray(values), name)
        return name

    def floats(self, *values: float) -> str:
        """One number makes a scalar, several a vector."""
        return self.constant(np.array(values[0] if len(values) == 1 else values, np.float32))

    def integers(self, *values: int) -> str:
        return self.constant(np.array(values, np.int64))

    def weights(self, values: np.ndarray) -> str:
        """Weights with the output channel first; in eight bits with a scale for each channel where that is asked."""
        if not self.int8_weights or values.size <= SMALLEST_QUANTISED:
            return self.constant(values.astype(np.float32), "weights")
        scales = np.maximum(np.abs(values).reshape(len(values), -1).max(axis=1) / 127, 1e-12).astype(np.float32)
        stored = np.clip(np.round(values / scales.reshape(-1, *[1] * (values.ndim - 1))), -127, 127).astype(np.int8)
        return self.node("DequantizeLinear", [self.constant(stored, "weights"), self.constant(scales, "scales"),
                                              self.constant(np.zeros(len(scales), np.int8), "zero_points")], axis=0)

    def node(self, kind: str, inputs: list[str], output: str | None = None, **attributes) -> str:
        output = output or self.name("value")
        self.nodes.append(helper.make_node(kind, inputs, [output], name=f"{kind}_{len(self.nodes)}", **attributes))
        return output

    def clip(self, value: str, low: float, high: float, output: str | None = None) -> str:
        """The limits were attributes before opset 11 and are inputs since."""
        if self.opset < 11:
            return self.node("Clip", [value], output, min=float(low), max=float(high))
        return self.node("Clip", [value, self.floats(low), self.floats(high)], output)

    def tensor_name(self, index: int) -> str:
        """Inputs and outputs keep their names, without TensorFlow's output number; others are numbered."""
        if index in self.model.inputs or index in self.model.outputs:
            return self.model.tensors[index].name.removesuffix(":0")
        return f"tensor_{index}"

    def value(self, index: int) -> str:
        """The value of a tensor of the model: a constant, or what an earlier node computes."""
        values = self.model.tensors[index].real_values()
        return self.tensor_name(index) if values is None else self.constant(values)

    def transpose(self, value: str, order: list[int], output: str | None = None) -> str:
        return self.node("Transpose", [value], output, perm=order)

    def channels_first(self, value: str) -> str:
        return self.transpose(value, [0, 3, 1, 2])

    def channels_last(self, value: str, output: str | None = None) -> str:
        return self.transpose(value, [0, 2, 3, 1], output)
