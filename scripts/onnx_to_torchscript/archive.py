# SPDX-License-Identifier: Apache-2.0
"""A TorchScript archive: a zip file with the code of a module, and a pickle of its attributes that points to the files
with the tensors' data. Only what one module with float32 buffers needs is written.

The pickle is what torch.jit.save() writes: an object of the class __torch__.Model with its attributes as state.
"""

import io
import struct
import zipfile

import numpy as np

FORMAT_VERSION = b"3\n"  # read by every LibTorch since 1.4
DATE = (1980, 1, 1, 0, 0, 0)  # so that equal models are equal files

PROTOCOL_2, STOP = b"\x80\x02", b"."
MARK, TUPLE, EMPTY_TUPLE, EMPTY_DICT = b"(", b"t", b")", b"}"
NEW_OBJECT, BUILD, REDUCE, SET_ITEMS, PERSISTENT_ID = b"\x81", b"b", b"R", b"u", b"Q"
FALSE = b"\x89"


def global_name(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


def text(value: str) -> bytes:
    encoded = value.encode()
    return b"X" + struct.pack("<I", len(encoded)) + encoded


def integer(value: int) -> bytes:
    if not -2**31 <= value < 2**31:
        raise ValueError(f"{value} does not fit into 32 bits")
    return b"J" + struct.pack("<i", value)


def tuple_of(*items: bytes) -> bytes:
    return MARK + b"".join(items) + TUPLE


def storage(key: str, count: int) -> bytes:
    """What stands for the data in the file data/KEY."""
    return tuple_of(text("storage"), global_name("torch", "FloatStorage"), text(key), text("cpu"),
                    integer(count)) + PERSISTENT_ID


def tensor(key: str, shape: tuple[int, ...]) -> bytes:
    """A call that makes a dense tensor of a storage: offset, sizes, strides, no gradient, no hooks."""
    strides = [int(np.prod(shape[axis + 1:], dtype=np.int64)) for axis in range(len(shape))]
    hooks = global_name("collections", "OrderedDict") + EMPTY_TUPLE + REDUCE
    arguments = tuple_of(storage(key, int(np.prod(shape, dtype=np.int64))), integer(0),
                         tuple_of(*map(integer, shape)), tuple_of(*map(integer, strides)), FALSE, hooks)
    return global_name("torch._utils", "_rebuild_tensor_v2") + arguments + REDUCE


def pickled_module(buffers: dict[str, np.ndarray]) -> bytes:
    state = text("training") + FALSE
    for key, (name, values) in enumerate(buffers.items()):
        state += text(name) + tensor(str(key), values.shape)
    return (PROTOCOL_2 + global_name("__torch__", "Model") + EMPTY_TUPLE + NEW_OBJECT
            + EMPTY_DICT + MARK + state + SET_ITEMS + BUILD + STOP)


def write_archive(code: str, buffers: dict[str, np.ndarray]) -> bytes:
    """`code` defines the class Model; `buffers` are its attributes, float32."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        def add(name: str, content: bytes):
            archive.writestr(zipfile.ZipInfo(f"model/{name}", DATE), content)

        add("version", FORMAT_VERSION)
        add("code/__torch__.py", code.encode())
        add("constants.pkl", PROTOCOL_2 + EMPTY_TUPLE + STOP)
        add("data.pkl", pickled_module(buffers))
        for key, values in enumerate(buffers.values()):
            add(f"data/{key}", np.ascontiguousarray(values, np.float32).tobytes())
    return file.getvalue()
