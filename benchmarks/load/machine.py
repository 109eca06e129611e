"""The machine that numbers are measured on: what it is, in one line, and which of its ports are free."""

import os
import platform
import re
import socket
from contextlib import ExitStack
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


def free_ports(count: int) -> tuple[int, ...]:
    """So many ports of this machine that nobody has now, all of them held at the same time, so that no two are one."""
    with ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return tuple(probe.getsockname()[1] for probe in probes)


def free_port() -> int:
    """One of them."""
    [port] = free_ports(1)
    return port
