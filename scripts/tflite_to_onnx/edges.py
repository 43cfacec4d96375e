# SPDX-License-Identifier: Apache-2.0
"""Other inputs and outputs for a converted model, as models are found with: integers in the place of numbers."""

import numpy as np
import onnx
from onnx import ModelProto, TensorProto, helper, numpy_helper

from .tflite import UnsupportedModel

SCORE_SCALE = 1 / 256  # of scores from 0 to 1 in uint8


def with_uint8_edges(model: ModelProto) -> ModelProto:
    """A model of pictures that takes pixels as they are, where it took -1 to 1, and whose scores are quantised."""
    graph = model.graph
    (picture,), (scores,) = graph.input, graph.output
    rename(graph, picture.name, f"{picture.name}_real")
    rename(graph, scores.name, f"{scores.name}_real")
    constants = {"pixel_scale": np.float32(1 / 127.5), "score_scale": np.float32(SCORE_SCALE),
                 "zero_point": np.uint8(0), "one": np.float32(1)}
    graph.initializer.extend(numpy_helper.from_array(np.array(value), name) for name, value in constants.items())
    before = [helper.make_node("DequantizeLinear", [picture.name, "pixel_scale", "zero_point"], ["from_0_to_2"]),
              helper.make_node("Sub", ["from_0_to_2", "one"], [f"{picture.name}_real"])]
    after = helper.make_node("QuantizeLinear", [f"{scores.name}_real", "score_scale", "zero_point"], [scores.name])
    nodes = [*before, *graph.node, after]
    del graph.node[:]
    graph.node.extend(nodes)
    for edge in (picture, scores):
        edge.type.tensor_type.elem_type = TensorProto.UINT8
    onnx.checker.check_model(model)
    return model


def with_class_map(model: ModelProto) -> ModelProto:
    """A model of a score for each place and class, the classes last, that gives the best class of each place."""
    (scores,) = model.graph.output
    *shape, _ = [dimension.dim_value for dimension in scores.type.tensor_type.shape.dim]
    model.graph.node.append(helper.make_node("ArgMax", [scores.name], ["classes"], axis=len(shape), keepdims=0))
    model.graph.output.remove(scores)
    model.graph.output.append(helper.make_tensor_value_info("classes", TensorProto.INT64, shape))
    onnx.checker.check_model(model)
    return model


def rename(graph: onnx.GraphProto, old: str, new: str):
    """A value, wherever a node gives or takes it."""
    for node in graph.node:
        for names in (node.input, node.output):
            names[:] = [new if name == old else name for name in names]


def with_free_batch(model: ModelProto) -> ModelProto:
    """The same model for any number of pictures at a time: the first dimension of inputs, outputs and reshaped values,
    which was 1, becomes free. Every row is computed as it was alone."""
    constants = {constant.name: constant for constant in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Resize":
            raise UnsupportedModel("Resize says the whole shape of its result, the batch's dimension too")
        if node.op_type == "Reshape":
            shape = numpy_helper.to_array(constants[node.input[1]]).copy()
            shape[0] = -1
            constants[node.input[1]].CopyFrom(numpy_helper.from_array(shape, node.input[1]))
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    onnx.checker.check_model(model)
    return model
