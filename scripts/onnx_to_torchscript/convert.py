# SPDX-License-Identifier: Apache-2.0
"""From an ONNX graph to the code of a TorchScript module, a line for each node."""

import keyword
import re

import numpy as np
import onnx
from onnx import NodeProto, numpy_helper

from .archive import write_archive


class UnsupportedGraph(Exception):
    """The model has something that this converter does not know."""


class Writer:
    """The code of forward(), while it is being written."""

    def __init__(self, graph: onnx.GraphProto):
        self.constants = {constant.name: numpy_helper.to_array(constant) for constant in graph.initializer}
        self.names: dict[str, str] = {}  # of the graph's values, in the code
        self.buffers: dict[str, str] = {}  # of the module: constant -> name
        self.lines: list[str] = []

    def name(self, value: str) -> str:
        """A name in the code: the value's own where that can be one."""
        if value not in self.names:
            plain = re.sub(r"\W", "_", value)
            usable = plain == value and plain.isidentifier() and not keyword.iskeyword(plain) and plain != "self"
            self.names[value] = plain if usable else f"value_{len(self.names)}"
        return self.names[value]

    def value(self, name: str) -> str:
        """What a node reads: an earlier value, or a constant, which becomes a buffer of the module."""
        if name not in self.constants:
            return self.name(name)
        values = self.constants[name]
        if values.dtype != np.float32:
            raise UnsupportedGraph(f"a constant of {values.dtype} is used as a tensor; only float32 is known")
        return "self." + self.buffers.setdefault(name, f"buffer_{len(self.buffers)}")

    def constant(self, name: str) -> list:
        """The numbers of a constant that belongs into the code."""
        if name not in self.constants:
            raise UnsupportedGraph(f"{name} is computed; here it must be a constant")
        return self.constants[name].reshape(-1).tolist()


def attributes_of(node: NodeProto) -> dict:
    return {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}


def padded(value: str, pads: list[int]) -> tuple[str, list[int]]:
    """The value and the padding that is left to the operation, which pads both ends alike."""
    top, left, bottom, right = pads
    if (top, left) == (bottom, right):
        return value, [top, left]
    return f"torch.constant_pad_nd({value}, {[left, right, top, bottom]}, 0.)", [0, 0]


def convolution(writer: Writer, node: NodeProto, options: dict) -> str:
    value, padding = padded(writer.value(node.input[0]), list(options.get("pads", [0, 0, 0, 0])))
    bias = writer.value(node.input[2]) if len(node.input) > 2 else "None"
    return (f"torch.conv2d({value}, {writer.value(node.input[1])}, {bias}, {list(options.get('strides', [1, 1]))}, "
            f"{padding}, {list(options.get('dilations', [1, 1]))}, {options.get('group', 1)})")


def average_pool(writer: Writer, node: NodeProto, options: dict) -> str:
    top, left, bottom, right = options.get("pads", [0, 0, 0, 0])
    if (top, left) != (bottom, right):
        raise UnsupportedGraph("AveragePool with uneven padding is not known")
    return (f"torch.avg_pool2d({writer.value(node.input[0])}, {list(options['kernel_shape'])}, "
            f"{list(options.get('strides', [1, 1]))}, {[top, left]}, False, False)")


def clip(writer: Writer, node: NodeProto, options: dict) -> str:
    low, high = (writer.constant(name)[0] for name in node.input[1:3])
    return f"torch.clamp({writer.value(node.input[0])}, {low!r}, {high!r})"


def reshape(writer: Writer, node: NodeProto, options: dict) -> str:
    return f"torch.reshape({writer.value(node.input[0])}, {writer.constant(node.input[1])})"


def softmax(writer: Writer, node: NodeProto, options: dict) -> str:
    return f"torch.softmax({writer.value(node.input[0])}, {options.get('axis', -1)})"


def transpose(writer: Writer, node: NodeProto, options: dict) -> str:
    return f"torch.permute({writer.value(node.input[0])}, {list(options['perm'])})"


def concatenation(writer: Writer, node: NodeProto, options: dict) -> str:
    return f"torch.cat([{', '.join(map(writer.value, node.input))}], {options['axis']})"


def plain(function: str):
    """An operation on tensors alone."""
    return lambda writer, node, options: f"torch.{function}({', '.join(map(writer.value, node.input))})"


CONVERSIONS = {
    "Add": plain("add"),
    "AveragePool": average_pool,
    "Clip": clip,
    "Concat": concatenation,
    "Conv": convolution,
    "Identity": plain("detach"),
    "Relu": plain("relu"),
    "Reshape": reshape,
    "Sigmoid": plain("sigmoid"),
    "Softmax": softmax,
    "Transpose": transpose,
}


def write_class(writer: Writer, inputs: list[str], outputs: list[str]) -> str:
    arguments = "".join(f",\n    {writer.name(name)}: Tensor" for name in inputs)
    returned = ", ".join(writer.value(name) for name in outputs)
    kind = "Tensor" if len(outputs) == 1 else f"Tuple[{', '.join(['Tensor'] * len(outputs))}]"
    return "\n".join([
        "class Model(Module):",
        "  __parameters__ = []",
        f"  __buffers__ = {list(writer.buffers.values())}",
        "  training : bool",
        *(f"  {name} : Tensor" for name in writer.buffers.values()),
        f"  def forward(self: __torch__.Model{arguments}) -> {kind}:",
        *writer.lines,
        f"    return {returned if len(outputs) == 1 else f'({returned})'}", ""])


def convert(model: onnx.ModelProto) -> bytes:
    """The archive, as a file's content. The inputs keep their names where these can be names in code."""
    writer = Writer(model.graph)
    inputs = [value.name for value in model.graph.input if value.name not in writer.constants]
    for name in inputs:
        writer.name(name)
    for node in model.graph.node:
        conversion = CONVERSIONS.get(node.op_type)
        if conversion is None:
            raise UnsupportedGraph(f"{node.op_type} is not known; known are {', '.join(sorted(CONVERSIONS))}")
        expression = conversion(writer, node, attributes_of(node))
        writer.lines.append(f"    {writer.name(node.output[0])} = {expression}")
    code = write_class(writer, inputs, [value.name for value in model.graph.output])
    return write_archive(code, {name: writer.constants[constant] for constant, name in writer.buffers.items()})
