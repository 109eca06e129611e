"""Variables of the environment that look like settings and are none: misspelt, or Kubernetes' own."""

import re
from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches

PREFIX = "CHAPTERHOUSE_"
_OF_KUBERNETES = re.compile(
    rf"{PREFIX}(?:\w+_)?(?:SERVICE_HOST|SERVICE_PORT(?:_\w+)?|PORT_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)"
)
_ADDRESS = re.compile(r"(?:tcp|udp|sctp)://\S+")


def is_service_link(value: object) -> bool:
    """Whether this is the address of a Kubernetes Service, as pods find it in `<NAME>_PORT`."""
    return isinstance(value, str) and _ADDRESS.fullmatch(value) is not None


def doubts(environment: Mapping[str, str], settings: Collection[str]) -> Iterator[str]:
    """A sentence for every variable with our prefix that is no setting, and one for all that come from Kubernetes."""
    ours = {name: value for name, value in sorted(environment.items()) if name.upper().startswith(PREFIX)}
    links = [name for name, value in ours.items() if _OF_KUBERNETES.fullmatch(name) or is_service_link(value)]
    if links:
        others = f" ({len(links) - 1} more like it)" if len(links) > 1 else ""
        yield (
            f"{links[0]}{others} is what Kubernetes says of a Service, no setting, and is passed over;"
            " `enableServiceLinks: false` in the pod keeps it away."
        )
    known = [name.upper() for name in settings]
    for name in ours:
        word = name.upper().removeprefix(PREFIX)
        if name not in links and word not in known:
            nearest = get_close_matches(word, known, 1)
            meant = f"; did you mean {PREFIX}{nearest[0]}?" if nearest else "."
            yield f"{name} is no setting and is passed over{meant}"
