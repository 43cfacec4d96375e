# SPDX-License-Identifier: Apache-2.0
"""usage: python3 -m tflite_to_onnx IN.tflite OUT.onnx [--layout nchw|nhwc] [--int8-weights] [--opset 13|10]"""

import argparse
import sys
from pathlib import Path

from . import Model, UnsupportedModel, convert


def main() -> int:
    arguments = argparse.ArgumentParser(prog="tflite_to_onnx", description="Converts a TensorFlow Lite model to ONNX.")
    arguments.add_argument("source", type=Path)
    arguments.add_argument("target", type=Path)
    arguments.add_argument("--layout", choices=("nchw", "nhwc"), default="nchw", help="of the inputs")
    arguments.add_argument("--int8-weights", action="store_true", help="a quarter of the size")
    arguments.add_argument("--opset", type=int, choices=(13, 10), default=13, help="10: for OpenCV 4.6")
    options = arguments.parse_args()
    try:
        converted = convert(Model(options.source), options.layout, options.int8_weights, options.opset)
    except UnsupportedModel as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    options.target.write_bytes(converted.SerializeToString())
    print(f"{options.target}: {len(converted.graph.node)} nodes, {options.target.stat().st_size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
