"""Query parameters: those that are known, each given once; any other is refused by its name."""

from collections import Counter
from collections.abc import Collection
from urllib.parse import parse_qsl

from service.errors import InvalidRequest

NAME_LIMIT = 100
"""Characters of a name that a refusal repeats."""


def read_query(path: str, query: bytes, known: Collection[str], lists: Collection[str] = ()) -> dict[str, str]:
    """The parameters of a query string by their names; of `lists`, which may be given several times, the last value.

    Raises InvalidRequest, which names those that `path` does not know, those given twice, and those there are.
    """
    given = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    counts = Counter(name for name, _ in given)
    unknown = [name for name in counts if name not in known]
    twice = [name for name, count in counts.items() if count > 1 and name in known and name not in lists]
    if unknown or twice:
        raise _refusal(path, [name[:NAME_LIMIT] for name in unknown], twice, known)
    return dict(given)


def _refusal(path: str, unknown: list[str], twice: list[str], known: Collection[str]) -> InvalidRequest:
    sentences = []
    if unknown:
        sentences.append(f"{path} has no parameter {_listed(unknown)}; it has {_listed(known) or 'none'}.")
    if twice:
        sentences.append(f"{_listed(twice)} can be given only once.")
    errors = [{"field": name, "message": "there is no such parameter"} for name in unknown]
    errors += [{"field": name, "message": "can be given only once"} for name in twice]
    return InvalidRequest(" ".join(sentences), errors=errors)


def _listed(names: Collection[str]) -> str:
    *others, last = [*names] or [""]
    return f"{', '.join(others)} and {last}" if others else last
