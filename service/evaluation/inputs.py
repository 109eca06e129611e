"""One sha256 for everything that the numbers of a report depend on: what has the same one is not computed again."""

import json
from hashlib import sha256


def sha256_of(**inputs: object) -> str:
    """The sha256 of inputs that can be written as JSON, whatever the order of their names."""
    return sha256(json.dumps(inputs, sort_keys=True, allow_nan=False).encode()).hexdigest()
