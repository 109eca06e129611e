"""The machine that numbers were measured on, in one line."""

import os
import platform
import re
from pathlib import Path

QUICK = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8")


def machine() -> str:
    """Processor, cores that this program may use, and how many others wanted them in the last minute."""
    info = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*:\s*(.+)", info.read_text()) if info.is_file() else None
    name = found[1].strip() if found else platform.processor() or platform.machine()
    return f"{name}, {len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f}"


def instructions() -> str:
    """Which of the instructions that make nets quick the processor has."""
    info = Path("/proc/cpuinfo")
    found = re.search(r"^flags\s*:\s*(.+)", info.read_text(), re.MULTILINE) if info.is_file() else None
    flags = set(found[1].split()) if found else set()
    return ", ".join(name for name in QUICK if name in flags) or "none of " + ", ".join(QUICK)


def interpreter() -> str:
    """Which Python it is, and what it was built with: builds of one version differ by a third in speed."""
    return f"{platform.python_implementation()} {platform.python_version()} ({platform.python_compiler()})"
