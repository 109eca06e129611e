"""File descriptors: as many as the system lets this process have."""

import resource


def raise_descriptor_limit() -> int:
    """Raise this process's limit, and that of children it starts, as far as the system allows; the limit."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most
