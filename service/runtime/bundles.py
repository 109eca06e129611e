"""Many submissions, or many answers, as one message: what they share is said once, and their arrays lie side by side.

    words (JSON) · entry · entry … · request ids · first arrays of all · second arrays of all · …
    words (JSON) · entry · entry … · request ids · place · place …

The words are the call, the lane, dtype and shape of each array, and whether they lie in the message or in memory that
both ends share: they are written and read once and remembered. An entry is fixed numbers, a place is where in that
memory the arrays of an item begin. Nothing is done for a row but to copy it, and to cut it out again.
"""

import math
import struct
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import accumulate, pairwise
from typing import NamedTuple, overload

import numpy as np
import orjson

from service.runtime.calls import Array, Asked, Call, Lane, Option
from service.runtime.shared import SHARED_FROM_BYTES, Room, Spec, View

DTYPES = {np.dtype(name).str: np.dtype(name) for name in ("uint8", "int64", "float16", "float32", "float64")}
BUNDLE_LIMIT_BYTES = 1 << 24
"""Messages are not made larger by bundling."""
REQUEST_ID_LIMIT = 255
_ENTRY = struct.Struct("<QdB")
"""The id, the deadline (NaN for none) and the length of the request's id."""
_PLACE = struct.Struct("<Q")


class Words(NamedTuple):
    """What the submissions or answers of one bundle share. Answers have no call."""

    call: Call | None
    lane: Lane
    specs: tuple[Spec, ...]
    """Of each array of each submission."""
    shared: bool = False
    """Whether the arrays lie in memory that both ends share."""

    @property
    def row_bytes(self) -> int:
        """The bytes that one submission takes of its message."""
        return 0 if self.shared else sum(dtype.itemsize * math.prod(shape) for dtype, shape in self.specs)


class Item(NamedTuple):
    """One submission or answer."""

    words: Words
    id: int
    deadline: float | None
    request_id: str
    arrays: Sequence[Array]
    place: int = 0
    """Where its arrays are, if they lie in shared memory."""


class Bundle(Sequence[Item]):
    """The items of one message, which share their words; each is made when it is asked for."""

    __slots__ = ("_entries", "_rows", "columns", "request_ids", "words")

    def __init__(
        self,
        words: Words,
        entries: Sequence[tuple[int, float, int]],
        request_ids: Sequence[str],
        columns: Sequence[Array],
        rows: Sequence[Sequence[Array]] | None = None,
    ) -> None:
        self.words = words
        self.request_ids = request_ids
        self.columns = columns
        """The arrays of all items side by side; none where they lie in shared memory."""
        self._entries = entries
        self._rows = rows

    def __len__(self) -> int:
        return len(self._entries)

    @overload
    def __getitem__(self, index: int) -> Item: ...
    @overload
    def __getitem__(self, index: slice) -> list[Item]: ...
    def __getitem__(self, index: int | slice) -> Item | list[Item]:
        return list(self)[index]

    def __iter__(self) -> Iterator[Item]:
        words, isnan = self.words, math.isnan
        for (message_id, deadline, _), request_id, arrays in zip(
            self._entries, self.request_ids, self.rows(), strict=True
        ):
            yield Item(words, message_id, None if isnan(deadline) else deadline, request_id, arrays)

    @property
    def ids(self) -> list[int]:
        """The number of each."""
        return [message_id for message_id, _, _ in self._entries]

    def rows(self) -> Sequence[Sequence[Array]]:
        """The arrays of each."""
        if self._rows is None:
            columns = [list(column) for column in self.columns]
            self._rows = list(zip(*columns, strict=True)) if columns else [()] * len(self)
        return self._rows

    def is_plain(self) -> bool:
        """Whether these are questions that interactive callers ask, of one row each, without a deadline."""
        words = self.words
        if words.call is None or words.lane is not Lane.INTERACTIVE or words.shared or len(words.specs) != 1:
            return False
        return words.specs[0][1][0] == 1 and all(math.isnan(deadline) for _, deadline, _ in self._entries)


NOTHING = Bundle(Words(None, Lane.INTERACTIVE, ()), (), (), ())
"""What messages hold that are none of many items."""


def item_of(
    message_id: int,
    arrays: Sequence[Array],
    call: Call | None = None,
    lane: Lane = Lane.INTERACTIVE,
    deadline: float | None = None,
    request_id: str = "",
) -> Item:
    """A submission of this call, or an answer."""
    specs = tuple([(array.dtype, array.shape) for array in arrays])
    return Item(Words(call, lane, specs), message_id, deadline, request_id[:REQUEST_ID_LIMIT], arrays)


def placed(item: Item, room: Room) -> Item:
    """The item as it is sent: with its arrays in shared memory, where they are large and find room there."""
    arrays = item.arrays
    size = arrays[0].nbytes if len(arrays) == 1 else sum([array.nbytes for array in arrays])
    if size < SHARED_FROM_BYTES or (place := room.put(arrays)) is None:
        return item
    return item._replace(words=item.words._replace(shared=True), arrays=(), place=place)


def most_beside(item: Item) -> int:
    """How many items a message may hold of which this is one."""
    return max(1, BUNDLE_LIMIT_BYTES // max(1, item.words.row_bytes))


def write_bundle(items: Sequence[Item]) -> tuple[bytes, list[bytes]]:
    """The words of items that share them, and the rest of their message."""
    words = items[0].words
    ids = [item.request_id.encode("latin-1", "replace") for item in items]
    pack, none = _ENTRY.pack, math.nan
    parts = [
        pack(item.id, none if item.deadline is None else item.deadline, len(text))
        for item, text in zip(items, ids, strict=True)
    ]
    parts += ids
    if words.shared:
        parts += [_PLACE.pack(item.place) for item in items]
        return _text_of(words), parts
    for place in range(len(words.specs)):
        parts += [item.arrays[place].tobytes() for item in items]
    return _text_of(words), parts


def write_questions(ids: Sequence[int], call: Call, asked: Sequence[Asked]) -> tuple[bytes, list[bytes]] | None:
    """The words of interactive submissions without a deadline, of an array each, and the rest of their message.

    None where their arrays differ, or are large.
    """
    if not asked:
        return None
    rows = [each.rows for each in asked]
    shape, dtype = rows[0].shape, rows[0].dtype
    words = Words(call, Lane.INTERACTIVE, ((dtype, shape),))
    if not _is_small(words, len(ids)):
        return None
    if any(row.shape != shape or row.dtype != dtype for row in rows):
        return None
    texts = [each.request_id[:REQUEST_ID_LIMIT].encode("latin-1", "replace") for each in asked]
    pack, none = _ENTRY.pack, math.nan
    parts = [pack(message_id, none, len(text)) for message_id, text in zip(ids, texts, strict=True)]
    parts += texts
    parts += [row.tobytes() for row in rows]
    return _text_of(words), parts


def write_answers(ids: Sequence[int], columns: Sequence[Array]) -> tuple[bytes, list[bytes]] | None:
    """The words of answers of one row each, given side by side, and the rest of their message; None for large ones."""
    words = Words(None, Lane.INTERACTIVE, tuple([(column.dtype, (1, *column.shape[1:])) for column in columns]))
    if not _is_small(words, len(ids)):
        return None
    pack, none = _ENTRY.pack, math.nan
    parts = [pack(message_id, none, 0) for message_id in ids]
    parts += [column.tobytes() for column in columns]
    return _text_of(words), parts


def _is_small(words: Words, count: int) -> bool:
    """Whether so many items of these words go through the socket, in one message."""
    return words.row_bytes < SHARED_FROM_BYTES and words.row_bytes * count <= BUNDLE_LIMIT_BYTES


def read_bundle(data: bytes, start: int, words_length: int, count: int, end: int, view: View | None = None) -> Bundle:
    """The items of a message, which fill it, and may have arrays in the memory of this view. Raises ValueError."""
    at = start + words_length
    if not count or at + count * _ENTRY.size > end:
        raise ValueError(f"a message that does not hold its {count} entries")
    words = _words_of(data[start:at])
    entries = list(_ENTRY.iter_unpack(memoryview(data)[at : at + count * _ENTRY.size]))
    at += count * _ENTRY.size
    lengths = [length for _, _, length in entries]
    ids = _texts_at(data, at, lengths)
    at += sum(lengths)
    if words.shared:
        return Bundle(words, entries, ids, (), _rows_in(view, data[at:end], count, words))
    return Bundle(words, entries, ids, _columns_at(data, at, end, count, words.specs))


def _texts_at(data: bytes, at: int, lengths: Sequence[int]) -> list[str]:
    """Words that stand one behind the other, as long as they are said to be."""
    if not any(lengths):  # as of answers
        return [""] * len(lengths)
    ends = [*accumulate(lengths, initial=0)]
    text = data[at : at + ends[-1]].decode("latin-1")
    return [text[start:end] for start, end in pairwise(ends)]


def _columns_at(data: bytes, at: int, end: int, count: int, specs: Sequence[Spec]) -> list[Array]:
    """The arrays of these items side by side, which fill the rest of their message. Raises ValueError."""
    columns: list[Array] = []
    for dtype, shape in specs:
        numbers = count * math.prod(shape)
        if at + numbers * dtype.itemsize > end:
            raise ValueError(f"{count} arrays of shape {shape} that their message does not hold")
        columns.append(np.frombuffer(data, dtype, numbers, at).reshape(count, *shape))
        at += numbers * dtype.itemsize
    if at != end:
        raise ValueError(f"a message with {end - at} bytes that belong to no array")
    return columns


def _rows_in(view: View | None, places: bytes, count: int, words: Words) -> list[list[Array]]:
    """The arrays of each of these items, which lie in shared memory. Raises ValueError."""
    if view is None or len(places) != count * _PLACE.size:
        raise ValueError(f"{count} items in shared memory with {len(places)} bytes of places")
    return [view.arrays(place, words.specs) for (place,) in _PLACE.iter_unpack(places)]


@lru_cache(maxsize=1024)
def _text_of(words: Words) -> bytes:
    call, specs = words.call, [[dtype.str, shape] for dtype, shape in words.specs]
    said = None if call is None else [call.model, call.verb, call.version, call.options]
    return orjson.dumps([said, words.lane, specs, words.shared])


@lru_cache(maxsize=1024)
def _words_of(text: bytes) -> Words:
    """The words that `_text_of` wrote. Raises ValueError."""
    try:
        said, lane, specs, shared = orjson.loads(text)
        call = None if said is None else _call_of(*said)
        return Words(call, Lane(lane), tuple([_spec_of(*spec) for spec in specs]), bool([False, True].index(shared)))
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"words that are none of ours: {error!r}") from error


def _call_of(model: str, verb: str, version: str | None, options: Sequence[tuple[str, Option]]) -> Call:
    """A call. Raises ValueError, TypeError."""
    words = [model, verb, version or "", *(name for name, _ in options)]
    if not all(isinstance(word, str) for word in words):
        raise ValueError(f"{words} are no words")
    if not all(isinstance(value, Option) for _, value in options):
        raise ValueError(f"{options} are no options")
    return Call(model, verb, version, tuple([(name, value) for name, value in options]))


def _spec_of(name: str, shape: Sequence[int]) -> Spec:
    """Dtype and shape of an array. Raises ValueError, KeyError, TypeError."""
    if not shape or not all(type(side) is int and side >= 0 for side in shape):
        raise ValueError(f"an array of shape {shape}")
    return DTYPES[name], tuple(shape)
