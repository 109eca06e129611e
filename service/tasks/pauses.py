"""Where the forward of a verb lets short work go first, for the tasks to say of themselves."""

from typing import Literal

Pauses = Literal["never", "by itself", "between layers"]
