# SPDX-License-Identifier: Apache-2.0
"""From a TensorFlow Lite model to an ONNX model."""

import onnx
from onnx import TensorProto, helper

from . import passes
from .graph import Graph
from .operators import write_operator
from .tflite import Model

OPSET = 13  # the oldest with everything used here: per-channel DequantizeLinear
OLD_OPSET = 10  # what OpenCV 4.6 reads
IR_VERSIONS = {OPSET: 8, OLD_OPSET: 5}  # what ONNX 1.12 and 1.5 call their own


def convert(model: Model, layout: str = "nchw", int8_weights: bool = False, opset: int = OPSET) -> onnx.ModelProto:
    """`layout` is that of the inputs ("nchw" or "nhwc"; outputs keep the model's own). Inputs and outputs are
    float32 also where the model is quantised. `opset` is 13, or 10 for OpenCV 4.6, which not every model can be."""
    if layout not in ("nchw", "nhwc"):
        raise ValueError(f"layout is nchw or nhwc, not {layout!r}")
    if opset not in IR_VERSIONS:
        raise ValueError(f"opset is {OPSET} or {OLD_OPSET}, not {opset}")
    graph = Graph(model, int8_weights, opset)
    for operator in model.operators:
        write_operator(graph, operator)
    inputs = [(graph.tensor_name(index), model.tensors[index].shape) for index in model.inputs]
    outputs = graph.outputs or [(graph.tensor_name(index), model.tensors[index].shape) for index in model.outputs]
    output_names = {name for name, _ in outputs}
    nodes = passes.bypass_identities(graph.nodes, output_names)
    nodes = passes.cancel_transposes(nodes, output_names)
    if layout == "nchw":
        for name, _ in inputs:
            nodes = passes.take_channels_first(nodes, name)
        inputs = [(name, [batch, channels, height, width]) for name, (batch, height, width, channels) in inputs]
    nodes = passes.drop_unused(nodes, output_names)
    read = {name for node in nodes for name in node.input}
    onnx_graph = helper.make_graph(
        nodes, "model", [float_tensor(*named) for named in inputs], [float_tensor(*named) for named in outputs],
        [constant for name, constant in graph.constants.items() if name in read])
    converted = helper.make_model(onnx_graph, opset_imports=[helper.make_opsetid("", opset)],
                                  producer_name="vaccel-tflite-to-onnx", ir_version=IR_VERSIONS[opset])
    onnx.checker.check_model(converted)
    return converted


def float_tensor(name: str, shape: list[int]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
