"""Which kind of answer a caller takes: the `Accept` header (RFC 9110, section 12.5.1), its preferences weighed."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated

from fastapi import Request

from service.api.given import given
from service.errors import NotAcceptable

JSON = "application/json"
REMEMBERED = 256
"""Characters of a header up to which it is remembered what it says: clients send the same one with every request."""

_STRING = r'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)'
"""What stands in quotes, to the end where they are not closed: each character is looked at once."""
_ELEMENT = re.compile(rf'(?:[^,"]|{_STRING})++')
_PARAMETER = re.compile(rf'(?:[^;"]|{_STRING})++')
_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_RANGE = re.compile(rf"({_WORD})/({_WORD})")
_WEIGHT = re.compile(r"0(?:\.\d{0,3})?|1(?:\.0{0,3})?")


@dataclass(frozen=True, slots=True)
class MediaRange:
    """One kind of answer, `*` for any, and how much it is wanted: from 0, not at all, to 1."""

    kind: str
    subkind: str
    weight: float

    def specificity_for(self, media_type: str) -> int:
        """How closely this describes a media type: 2 for the type itself, 1 and 0 for the ranges, −1 for another."""
        kind, _, subkind = media_type.partition("/")
        if (self.kind, self.subkind) == (kind, subkind):
            return 2
        if self.subkind != "*" or self.kind not in (kind, "*"):
            return -1
        return 0 if self.kind == "*" else 1


def kind_for(request: Request, offered: Sequence[str]) -> str:
    """The media type of `offered` that this request's caller wants most. Raises NotAcceptable."""
    return choose(",".join(request.headers.getlist("accept")), offered)


def kind_within(request: Request) -> str:
    """The media type of those its route offers that this request's caller wants most."""
    kind: str = request.state.media_type
    return kind


MediaType = Annotated[str, given(kind_within)]


def choose(accept: str, offered: Sequence[str]) -> str:
    """The media type that the caller wants most; of equals the one offered first, which is also that for no wishes.

    What cannot be read in the header is passed over. Raises NotAcceptable, which names what is offered.
    """
    if not accept.strip():
        return offered[0]
    most_wanted = _most_wanted if len(accept) <= REMEMBERED else _most_wanted.__wrapped__
    return most_wanted(accept, tuple(offered))


@lru_cache(maxsize=1024)
def _most_wanted(accept: str, offered: tuple[str, ...]) -> str:
    """The media type that is wanted most. Raises NotAcceptable."""
    ranges = list(_ranges(accept))
    best = max(offered, key=lambda media_type: _weight_of(media_type, ranges))
    if _weight_of(best, ranges) == 0:
        raise NotAcceptable(f"Nothing that `Accept: {accept[:200]}` takes is written here; {', '.join(offered)} are.")
    return best


def _weight_of(media_type: str, ranges: Sequence[MediaRange]) -> float:
    """What the range that describes a media type most closely says of it; 0 where none does."""
    matching = [(found.specificity_for(media_type), found.weight) for found in ranges]
    specificity, weight = max(matching, default=(-1, 0.0))
    return weight if specificity >= 0 else 0.0


def _ranges(accept: str) -> Iterator[MediaRange]:
    for element in _ELEMENT.findall(accept):
        described, *parameters = (part.strip() for part in _PARAMETER.findall(element) or [""])
        found = _RANGE.fullmatch(described.lower())
        weight = _weight(parameters)
        if found is not None and weight is not None:
            yield MediaRange(found[1], found[2], weight)


def _weight(parameters: Sequence[str]) -> float | None:
    """The parameter `q`, 1 where there is none; None where it is no weight."""
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            return float(value.strip()) if _WEIGHT.fullmatch(value.strip()) else None
    return 1.0
