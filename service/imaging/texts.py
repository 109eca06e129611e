"""Image files that come as text, for those who can send nothing else: base64, or a data URL (RFC 2397)."""

import base64
import binascii
import re

_DATA_URL = re.compile(r"data:[^,]{0,200}?(;base64)?,", re.IGNORECASE)
_URL_SAFE = str.maketrans("-_", "+/")
_SPACE = re.compile(r"\s+")


def bytes_of_text(text: str) -> bytes:
    """The bytes that a text is the base64 of. Raises ValueError, whose words say what else it is.

    Both alphabets of RFC 4648 are read, with line breaks and without padding too.
    """
    if text[:5].lower() == "data:":
        head = _DATA_URL.match(text)
        if head is None or head[1] is None:
            raise ValueError("this data URL does not say ;base64")
        text = text[head.end() :]
    elif "://" in text[:10]:
        raise ValueError("this is an address, and images are not fetched; send the image itself, in base64")
    plain = _SPACE.sub("", text).translate(_URL_SAFE)
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("this is not base64") from None
