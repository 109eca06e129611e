"""The machine that numbers were measured on, in one line."""

import os
import platform
import re
from pathlib import Path


def machine() -> str:
    """Processor, cores that this program may use, and how many others wanted them in the last minute."""
    info = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*:\s*(.+)", info.read_text()) if info.is_file() else None
    name = found[1].strip() if found else platform.processor() or platform.machine()
    return f"{name}, {len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f}"
