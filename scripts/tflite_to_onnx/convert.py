# SPDX-License-Identifier: Apache-2.0
"""From a TensorFlow Lite model to an ONNX model."""

import onnx
from onnx import TensorProto, helper

from . import passes
from .graph import Graph
from .operators import write_operator
from .tflite import Model

OPSET = 13  # the oldest with everything used here: per-channel DequantizeLinear
IR_VERSION = 8  # what ONNX 1.12 calls its own


def convert(model: Model, layout: str = "nchw", int8_weights: bool = False) -> onnx.ModelProto:
    """`layout` is that of the inputs ("nchw" or "nhwc"; outputs keep the model's own). Inputs and outputs are
    float32 also where the model is quantised."""
    if layout not in ("nchw", "nhwc"):
        raise ValueError(f"layout is nchw or nhwc, not {layout!r}")
    graph = Graph(model, int8_weights)
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
    converted = helper.make_model(onnx_graph, opset_imports=[helper.make_opsetid("", OPSET)],
                                  producer_name="vaccel-tflite-to-onnx", ir_version=IR_VERSION)
    onnx.checker.check_model(converted)
    return converted


def float_tensor(name: str, shape: list[int]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
