"""A zip of many small files, stored as they are, that remembers of each no more than its line of the directory.

PKWARE's APPNOTE.TXT 6.3.10, sections 4.3.7 to 4.3.16; beyond 65,535 files or 4 GiB with its 64-bit records.
"""

import struct
import zlib

_LOCAL = struct.Struct("<4sHHHHHIIIHH")
_CENTRAL = struct.Struct("<4sHHHHHHIIIHHHHHII")
_END = struct.Struct("<4sHHHHIIH")
_END_64 = struct.Struct("<4sQHHIIQQQQ")
_LOCATOR_64 = struct.Struct("<4sIQI")
_OFFSET_64 = struct.Struct("<HHQ")
_VERSION, _VERSION_64 = 20, 45
_UNIX = 3 << 8
_EPOCH = 1 << 5 | 1
"""1 January 1980: the earliest that a zip can say, and always the same."""
_READABLE = 0o100644 << 16
_MOST_FILES, _MOST_BYTES = (1 << 16) - 1, (1 << 32) - 1


class Zip:
    """Files go in whole and come out as the bytes that they add; `offset` is where the archive begins."""

    def __init__(self, *, offset: int = 0) -> None:
        self.count = 0
        self._offset = offset
        self._directory = bytearray()

    def add(self, name: bytes, data: bytes) -> bytes:
        """The bytes of one more file, its name in ASCII."""
        size = len(data)
        told = (0, 0, 0, _EPOCH, zlib.crc32(data), size, size, len(name))
        far = self._offset >= _MOST_BYTES
        extra = _OFFSET_64.pack(1, 8, self._offset) if far else b""
        version = _VERSION_64 if far else _VERSION
        place = min(self._offset, _MOST_BYTES)
        self._directory += _CENTRAL.pack(
            b"PK\x01\x02", _UNIX | version, version, *told, len(extra), 0, 0, 0, _READABLE, place
        )
        self._directory += name + extra
        self.count += 1
        added = _LOCAL.pack(b"PK\x03\x04", version, *told, 0) + name + data
        self._offset += len(added)
        return added

    def finish(self) -> bytes:
        """The directory."""
        size, count = len(self._directory), self.count
        end = b""
        if count >= _MOST_FILES or self._offset >= _MOST_BYTES:
            told = (_UNIX | _VERSION_64, _VERSION_64, 0, 0, count, count, size, self._offset)
            end += _END_64.pack(b"PK\x06\x06", _END_64.size - 12, *told)
            end += _LOCATOR_64.pack(b"PK\x06\x07", 0, self._offset + size, 1)
        few, near = min(count, _MOST_FILES), min(self._offset, _MOST_BYTES)
        return bytes(self._directory) + end + _END.pack(b"PK\x05\x06", 0, 0, few, few, size, near, 0)
