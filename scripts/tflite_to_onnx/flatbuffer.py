# SPDX-License-Identifier: Apache-2.0
"""Reads FlatBuffers without generated code: a table is a position, a field a number (the order in the schema).

Every read is inside the bytes or raises CorruptBuffer; nothing is interpreted beyond that.
"""

import struct


class CorruptBuffer(ValueError):
    """The bytes are not the table that they are read as."""


class Table:
    def __init__(self, data: bytes, position: int):
        self.data, self.position = data, position

    @staticmethod
    def root(data: bytes) -> "Table":
        return Table(data, read(data, "I", 0))

    def _field(self, number: int) -> int:
        """Where the field's value lies; 0 where the field is absent and has its default."""
        vtable = self.position - read(self.data, "i", self.position)
        entry = 4 + 2 * number
        if entry >= read(self.data, "H", vtable):
            return 0
        offset = read(self.data, "H", vtable + entry)
        return self.position + offset if offset else 0

    def scalar(self, number: int, kind: str, default=0):
        """A number; `kind` as in struct: b B h H i I q Q f d."""
        field = self._field(number)
        return read(self.data, kind, field) if field else default

    def table(self, number: int) -> "Table | None":
        field = self._field(number)
        return Table(self.data, self._follow(field)) if field else None

    def tables(self, number: int) -> "list[Table]":
        start, count = self._vector(number)
        return [Table(self.data, self._follow(start + 4 * index)) for index in range(count)]

    def numbers(self, number: int, kind: str) -> list:
        start, count = self._vector(number)
        return list(read_many(self.data, f"{count}{kind}", start)) if count else []

    def bytes(self, number: int) -> memoryview:
        start, count = self._vector(number)
        if start + count > len(self.data):
            raise CorruptBuffer(f"{count} bytes at {start} reach past the end ({len(self.data)})")
        return memoryview(self.data)[start:start + count]

    def text(self, number: int) -> str:
        return bytes(self.bytes(number)).decode("utf-8", "replace")

    def _follow(self, position: int) -> int:
        return position + read(self.data, "I", position)

    def _vector(self, number: int) -> tuple[int, int]:
        field = self._field(number)
        if not field:
            return 0, 0
        vector = self._follow(field)
        return vector + 4, read(self.data, "I", vector)


def read_many(data: bytes, kinds: str, position: int) -> tuple:
    if position < 0:
        raise CorruptBuffer(f"an offset leads to {position}, before the start")
    try:
        return struct.unpack_from("<" + kinds, data, position)
    except struct.error as error:
        raise CorruptBuffer(f"cannot read at {position} of {len(data)} bytes: {error}") from error


def read(data: bytes, kind: str, position: int):
    return read_many(data, kind, position)[0]
