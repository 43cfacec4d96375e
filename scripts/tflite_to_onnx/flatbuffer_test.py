# SPDX-License-Identifier: Apache-2.0
import struct
import unittest

from tflite_to_onnx.flatbuffer import CorruptBuffer, Table


def table_with(*fields: bytes) -> bytes:
    """A root table whose fields lie one after another; an empty one is absent."""
    offsets, body = [], b""
    for field in fields:
        offsets.append(4 + len(body) if field else 0)
        body += field
    vtable = struct.pack(f"<HH{len(fields)}H", 4 + 2 * len(fields), 4 + len(body), *offsets)
    position = 4 + len(vtable)
    return struct.pack("<I", position) + vtable + struct.pack("<i", len(vtable)) + body


class Reading(unittest.TestCase):
    def test_scalars_and_defaults(self):
        table = Table.root(table_with(struct.pack("<i", -7), b"", struct.pack("<f", 1.5)))
        self.assertEqual(table.scalar(0, "i"), -7)
        self.assertEqual(table.scalar(1, "i", 42), 42)
        self.assertEqual(table.scalar(2, "f"), 1.5)
        self.assertEqual(table.scalar(9, "i", 3), 3, "a field that a newer schema added")

    def test_vectors(self):
        data = table_with(struct.pack("<I", 4)) + struct.pack("<I3i", 3, 1, -2, 3)
        self.assertEqual(Table.root(data).numbers(0, "i"), [1, -2, 3])
        self.assertEqual(Table.root(table_with(b"")).numbers(0, "i"), [])
        text = table_with(struct.pack("<I", 4)) + struct.pack("<I", 3) + b"cat"
        self.assertEqual(Table.root(text).text(0), "cat")

    def test_what_reaches_outside_is_refused(self):
        whole = table_with(struct.pack("<I", 4)) + struct.pack("<I3i", 3, 1, -2, 3)
        for length in range(len(whole)):
            with self.assertRaises(CorruptBuffer, msg=f"cut to {length} bytes"):
                Table.root(whole[:length]).numbers(0, "i")

    def test_a_table_before_the_start_is_refused(self):
        with self.assertRaises(CorruptBuffer):
            Table(struct.pack("<i", 1000) + bytes(8), 0).scalar(0, "i")

    def test_a_huge_vector_is_refused(self):
        data = table_with(struct.pack("<I", 4)) + struct.pack("<I", 0xFFFFFFFF)
        for read in (lambda table: table.numbers(0, "i"), lambda table: table.bytes(0), lambda table: table.tables(0)):
            with self.assertRaises(CorruptBuffer):
                read(Table.root(data))


if __name__ == "__main__":
    unittest.main()
