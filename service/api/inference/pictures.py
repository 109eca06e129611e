"""One file of a form, kept in memory until it is read."""

import io


class Picture(io.BytesIO):
    """One file of a form."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def close(self) -> None:
        """Keep the bytes: the part is whole, and is read after this."""
