# SPDX-License-Identifier: Apache-2.0
"""A TensorFlow Lite model as plain Python: tensors, operators, inputs, outputs.

Field numbers and enumerations are those of TensorFlow Lite's published schema, version 3.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .flatbuffer import CorruptBuffer, Table

IDENTIFIER = b"TFL3"
SCHEMA_VERSION = 3

# TensorType
FLOAT32, FLOAT16, INT32, UINT8, INT64, INT8 = 0, 1, 2, 3, 4, 9
NUMPY_TYPES = {FLOAT32: np.float32, FLOAT16: np.float16, INT32: np.int32, UINT8: np.uint8, INT64: np.int64,
               INT8: np.int8}

# BuiltinOperator
OPERATORS = {0: "ADD", 1: "AVERAGE_POOL_2D", 2: "CONCATENATION", 3: "CONV_2D", 4: "DEPTHWISE_CONV_2D",
             14: "LOGISTIC", 22: "RESHAPE", 23: "RESIZE_BILINEAR", 25: "SOFTMAX"}
CUSTOM = 32


class UnsupportedModel(ValueError):
    """The file is no model that this converter knows; the message says what it met."""


@dataclass
class Tensor:
    name: str
    shape: list[int]
    kind: int  # TensorType
    data: np.ndarray | None  # None for what is computed
    scales: np.ndarray  # quantisation: real = (stored - zero_point) * scale; empty where there is none
    zero_points: np.ndarray
    channel_axis: int  # the axis that several scales belong to

    def is_quantised(self) -> bool:
        return self.kind in (UINT8, INT8, INT32) and len(self.scales) > 0

    def real_values(self) -> np.ndarray | None:
        """A constant as float32 where it stands for real numbers, as it is where it stands for integers."""
        if self.data is None:
            return None
        if not self.is_quantised():
            return self.data.astype(np.float32) if self.kind == FLOAT16 else self.data
        shape = [1] * self.data.ndim
        if len(self.scales) > 1:
            shape[self.channel_axis] = -1
        shift = self.zero_points if len(self.zero_points) else np.zeros(len(self.scales), np.int64)
        return ((self.data.astype(np.float32) - shift.reshape(shape)) * self.scales.reshape(shape)).astype(np.float32)

    def real_range(self) -> tuple[float, float] | None:
        """The range at which a quantised tensor saturates; None where it does not."""
        if self.kind not in (UINT8, INT8) or len(self.scales) != 1:
            return None
        limits = np.iinfo(NUMPY_TYPES[self.kind])
        return tuple(float((limit - self.zero_points[0]) * self.scales[0]) for limit in (limits.min, limits.max))


@dataclass
class Operator:
    name: str  # as in the schema; the registered name for a custom one
    inputs: list[int]  # indices of tensors; -1 for an optional one that is absent
    outputs: list[int]
    options: Table | None

    def option(self, number: int, kind: str, default=0):
        return self.options.scalar(number, kind, default) if self.options else default


class Model:
    def __init__(self, path: Path):
        data = Path(path).read_bytes()
        if data[4:8] != IDENTIFIER:
            raise UnsupportedModel(f"{path} is no TensorFlow Lite file (it begins {data[:8].hex()})")
        try:
            self._read(Table.root(data), path)
        except (CorruptBuffer, IndexError, ValueError) as error:
            if isinstance(error, UnsupportedModel):
                raise
            raise UnsupportedModel(f"{path} is damaged: {error}") from error

    def _read(self, root: Table, path: Path):
        version = root.scalar(0, "I")
        if version != SCHEMA_VERSION:
            raise UnsupportedModel(f"{path} has schema version {version}; {SCHEMA_VERSION} is what is known")
        subgraphs = root.tables(2)
        if len(subgraphs) != 1:
            raise UnsupportedModel(f"{path} has {len(subgraphs)} subgraphs; one is what is known")
        graph, buffers, names = subgraphs[0], root.tables(4), [operator_name(code) for code in root.tables(1)]
        self.tensors = [read_tensor(table, buffers) for table in graph.tables(0)]
        self.inputs, self.outputs = graph.numbers(1, "i"), graph.numbers(2, "i")
        self.operators = [Operator(names[table.scalar(0, "I")], table.numbers(1, "i"), table.numbers(2, "i"),
                                   table.table(4)) for table in graph.tables(3)]


def operator_name(code: Table) -> str:
    # The code was a byte once; newer files have it as an integer, and the larger of the two holds.
    number = max(code.scalar(0, "b"), code.scalar(3, "i"))
    return code.text(1) if number == CUSTOM else OPERATORS.get(number, f"builtin operator {number}")


def read_tensor(table: Table, buffers: list[Table]) -> Tensor:
    shape, kind, quantisation = table.numbers(0, "i"), table.scalar(1, "b"), table.table(4)
    stored, data = buffers[table.scalar(2, "I")].bytes(0), None
    if len(stored) and kind in NUMPY_TYPES:
        data = np.frombuffer(stored, NUMPY_TYPES[kind]).reshape(shape)
    scales, zero_points, channel_axis = [], [], 0
    if quantisation:
        scales, zero_points = quantisation.numbers(2, "f"), quantisation.numbers(3, "q")
        channel_axis = quantisation.scalar(6, "i")
    return Tensor(table.text(3), shape, kind, data, np.array(scales, np.float32), np.array(zero_points, np.int64),
                  channel_axis)
