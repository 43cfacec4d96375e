# SPDX-License-Identifier: Apache-2.0
"""Converts an ONNX model, such as tflite_to_onnx makes, to a TorchScript archive, without PyTorch.

archive.py writes the file; convert.py writes the code. Only the operators that tflite_to_onnx uses for classification
and pose are known; anything else is refused by name.
"""

from .convert import UnsupportedGraph, convert

__all__ = ["UnsupportedGraph", "convert"]
