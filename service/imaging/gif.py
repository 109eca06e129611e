"""The blocks of a GIF file (GIF89a specification, sections 17 to 27): where it ends, for what lies behind it.

Pillow looks no further than the first frame, and so takes a file that lost its end for a whole one.
"""

from service.errors import UnreadableImage

STARTS = (b"GIF87a", b"GIF89a")
_PADDING, _EXTENSION, _FRAME, _END = 0x00, 0x21, 0x2C, 0x3B
_SCREEN_BYTES, _FRAME_BYTES = 13, 10
_HAS_TABLE = 0x80


def rest_bytes(data: bytes) -> int:
    """How many bytes lie behind the end of a file that begins as a GIF. Raises UnreadableImage where it has no end."""
    try:
        return len(data) - _end_of(data)
    except IndexError as error:
        raise UnreadableImage("The GIF is damaged: it ends before its end mark.") from error


def _end_of(data: bytes) -> int:
    """The place behind the end mark. Raises IndexError where there is none, UnreadableImage for a strange block."""
    at = _SCREEN_BYTES + _table_bytes(data[_SCREEN_BYTES - 3])
    while (kind := data[at]) != _END:
        if kind == _PADDING:
            at += 1
            continue
        if kind == _EXTENSION:
            at += 2
        elif kind == _FRAME:
            at += _FRAME_BYTES + _table_bytes(data[at + _FRAME_BYTES - 1]) + 1
        else:
            raise UnreadableImage("The GIF is damaged: a block of no known kind follows.")
        while length := data[at]:
            at += length + 1
        at += 1
    return at + 1


def _table_bytes(flags: int) -> int:
    """Bytes of the table of colours that these flags announce."""
    return 3 << ((flags & 7) + 1) if flags & _HAS_TABLE else 0
