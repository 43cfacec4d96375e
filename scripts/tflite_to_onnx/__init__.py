# SPDX-License-Identifier: Apache-2.0
"""Converts TensorFlow Lite models to ONNX, with Debian's python3-numpy and python3-onnx alone.

The way of a model: flatbuffer.py reads the file's tables, tflite.py gives them their names, operators.py writes each
operator into a graph (graph.py), passes.py removes what that left superfluous, convert.py ties it together. edges.py gives
a converted model inputs and outputs of integers, or of any number of pictures.

It knows the operators of the models that the catalogue is made from, and says so when it meets another.
"""

from .convert import convert
from .edges import with_class_map, with_free_batch, with_uint8_edges
from .tflite import Model, UnsupportedModel

__all__ = ["Model", "UnsupportedModel", "convert", "with_class_map", "with_free_batch",
           "with_uint8_edges"]
