# SPDX-License-Identifier: Apache-2.0
"""One function for each TensorFlow Lite operator: it writes the ONNX nodes that compute the same.

TensorFlow Lite has the channels last and ONNX the channels first. Each function transposes before and after by itself;
passes.py removes the pairs that cancel. Numbers of options are those of the schema's option tables.
"""

import numpy as np

from .graph import Graph
from .tflite import Operator, UnsupportedModel

# Padding
SAME, VALID = 0, 1
# ActivationFunctionType
NO_ACTIVATION, RELU, RELU_N1_TO_1, RELU6 = 0, 1, 2, 3


def padding(kind: int, input_size, kernel, stride, dilation) -> list[int]:
    """ONNX's pads (begins, then ends) for TensorFlow's SAME and VALID; the odd one goes to the end."""
    if kind == VALID:
        return [0, 0, 0, 0]
    begins, ends = [], []
    for size, extent, step, spread in zip(input_size, kernel, stride, dilation):
        needed = max((-(-size // step) - 1) * step + (extent - 1) * spread + 1 - size, 0)
        begins.append(needed // 2)
        ends.append(needed - needed // 2)
    return begins + ends


def activate(graph: Graph, value: str, activation: int, output: str | None = None) -> str:
    """The activation that is fused into many operators."""
    if activation == NO_ACTIVATION:
        return graph.node("Identity", [value], output)
    if activation == RELU:
        return graph.node("Relu", [value], output)
    if activation in (RELU_N1_TO_1, RELU6):
        low, high = (0, 6) if activation == RELU6 else (-1, 1)
        return graph.clip(value, low, high, output)
    raise UnsupportedModel(f"activation function {activation} is not known")


def convolution(graph: Graph, operator: Operator, output: str):
    depthwise = operator.name == "DEPTHWISE_CONV_2D"
    activation, first_dilation = (4, 5) if depthwise else (3, 4)
    stride = [operator.option(2, "i", 1), operator.option(1, "i", 1)]
    dilation = [operator.option(first_dilation + 1, "i", 1), operator.option(first_dilation, "i", 1)]
    weights = graph.model.tensors[operator.inputs[1]].real_values()
    _, height, width, channels = graph.model.tensors[operator.inputs[0]].shape
    kernel = list(weights.shape[1:3])
    # 1HWO and OHWI become OIHW.
    weights, groups = ((weights.transpose(3, 0, 1, 2), channels) if depthwise
                       else (weights.transpose(0, 3, 1, 2), channels // weights.shape[3]))
    inputs = [graph.channels_first(graph.value(operator.inputs[0])), graph.weights(weights)]
    if len(operator.inputs) > 2 and operator.inputs[2] >= 0:
        inputs.append(graph.value(operator.inputs[2]))
    value = graph.node("Conv", inputs, group=groups, strides=stride, dilations=dilation, kernel_shape=kernel,
                       pads=padding(operator.option(0, "b"), (height, width), kernel, stride, dilation))
    graph.channels_last(activate(graph, value, operator.option(activation, "b")), output)


def average_pool(graph: Graph, operator: Operator, output: str):
    stride = [operator.option(2, "i", 1), operator.option(1, "i", 1)]
    kernel = [operator.option(4, "i", 1), operator.option(3, "i", 1)]
    _, height, width, _ = graph.model.tensors[operator.inputs[0]].shape
    value = graph.node("AveragePool", [graph.channels_first(graph.value(operator.inputs[0]))], kernel_shape=kernel,
                       strides=stride, pads=padding(operator.option(0, "b"), (height, width), kernel, stride, (1, 1)))
    graph.channels_last(activate(graph, value, operator.option(5, "b")), output)


def add(graph: Graph, operator: Operator, output: str):
    value = graph.node("Add", [graph.value(index) for index in operator.inputs])
    activate(graph, value, operator.option(0, "b"), output)


def logistic(graph: Graph, operator: Operator, output: str):
    graph.node("Sigmoid", [graph.value(operator.inputs[0])], output)


def softmax(graph: Graph, operator: Operator, output: str):
    beta = operator.option(0, "f")
    if beta not in (0, 1):
        raise UnsupportedModel(f"softmax with beta {beta} is not known")
    graph.node("Softmax", [graph.value(operator.inputs[0])], output, axis=-1)


def reshape(graph: Graph, operator: Operator, output: str):
    shape = graph.model.tensors[operator.outputs[0]].shape
    graph.node("Reshape", [graph.value(operator.inputs[0]), graph.integers(*shape)], output)


def concatenation(graph: Graph, operator: Operator, output: str):
    graph.node("Concat", [graph.value(index) for index in operator.inputs], output, axis=operator.option(0, "i"))


def resize_bilinear(graph: Graph, operator: Operator, output: str):
    if graph.opset < 11:
        raise UnsupportedModel(f"opset {graph.opset} has no bilinear resizing as TensorFlow Lite does it")
    align_corners, half_pixel = operator.option(2, "B"), operator.option(3, "B")
    mode = "align_corners" if align_corners else "half_pixel" if half_pixel else "asymmetric"
    batch, height, width, channels = graph.model.tensors[operator.outputs[0]].shape
    value = graph.node("Resize", [graph.channels_first(graph.value(operator.inputs[0])), "", "",
                                  graph.integers(batch, channels, height, width)],
                       mode="linear", coordinate_transformation_mode=mode)
    graph.channels_last(value, output)


def detection_post_process(graph: Graph, operator: Operator, output: str):
    """Left to whoever uses the model, since ONNX has nothing like it: the outputs become what goes into it, `boxes`
    [1, N, 4] (y, x, height and width, coded relative to the anchors) and `scores` [1, N, classes] (class 0 is the
    background). The anchors follow from the model's parameters, which its model.toml gives."""
    places, classes = graph.model.tensors[operator.inputs[1]].shape[1:]
    for name, index in (("boxes", operator.inputs[0]), ("scores", operator.inputs[1])):
        graph.node("Identity", [graph.value(index)], name)
    graph.outputs = [("boxes", [1, places, 4]), ("scores", [1, places, classes])]


CONVERSIONS = {
    "ADD": add,
    "AVERAGE_POOL_2D": average_pool,
    "CONCATENATION": concatenation,
    "CONV_2D": convolution,
    "DEPTHWISE_CONV_2D": convolution,
    "LOGISTIC": logistic,
    "RESHAPE": reshape,
    "RESIZE_BILINEAR": resize_bilinear,
    "SOFTMAX": softmax,
    "TFLite_Detection_PostProcess": detection_post_process,
}

# Whose results a quantised model stores in eight bits, so that they saturate where float32 would not.
SATURATING = ("ADD", "CONV_2D", "DEPTHWISE_CONV_2D")


def write_operator(graph: Graph, operator: Operator):
    conversion = CONVERSIONS.get(operator.name)
    if conversion is None:
        raise UnsupportedModel(f"{operator.name} is not known; known are {', '.join(sorted(CONVERSIONS))}")
    output = graph.tensor_name(operator.outputs[0])
    limits = graph.model.tensors[operator.outputs[0]].real_range() if operator.name in SATURATING else None
    if limits is None:
        conversion(graph, operator, output)
        return
    unlimited = graph.name("unlimited")
    conversion(graph, operator, unlimited)
    graph.clip(unlimited, limits[0], limits[1], output)
