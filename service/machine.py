"""What this machine gives a process: packages, and cores and memory, as its affinity and its control groups limit them.

A container of two cores on a machine of 64 sees 64 where nobody looks: `cpu.max` and `memory.max` (cgroup v2),
`cpu.cfs_quota_us` and `memory.limit_in_bytes` (v1) say what is its own, and so do those of every group above it.
"""

import math
import os
import platform
from collections.abc import Iterator
from functools import cache
from pathlib import Path

UNLIMITED_BYTES = 1 << 60
"""As much as no machine has: version 1 says such numbers where nothing is limited."""
ABILITIES = frozenset({"avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8"})
_MEMORY_FILES = ("memory.max", "memory.limit_in_bytes")


@cache
def cores() -> int:
    """Processors that this process may keep busy: those of its affinity, or its quota, rounded up, if that is less."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1  # noqa: TID251
    return max(1, min([allowed, *map(math.ceil, quotas(Path("/")))]))


@cache
def memory_bytes() -> int:
    """Memory that this process and those beside it may take: the machine's, or less where its groups are limited."""
    everything = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min([everything, *memory_limits(Path("/"))])


@cache
def processor() -> str:
    """What the processor calls itself, with the widest of its abilities that nets are faster with."""
    name = next((value for key, value in _cpuinfo() if key == "model name"), platform.machine())
    return " ".join([name, *sorted(ABILITIES & processor_flags())])


@cache
def processor_flags() -> frozenset[str]:
    """What the processor says that it can do, in the words of Linux; nothing where nobody says."""
    return frozenset(next((value.split() for key, value in _cpuinfo() if key in ("flags", "Features")), []))


def installed(package: str) -> str | None:
    """Which version of a package is here, without loading it."""
    from importlib.metadata import PackageNotFoundError, version  # dear, and few ask

    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _cpuinfo() -> Iterator[tuple[str, str]]:
    for line in _lines(Path("/proc/cpuinfo")):
        key, _, value = line.partition(":")
        yield key.strip(), value.strip()


def quotas(root: Path) -> Iterator[float]:
    """The processors that each control group of this process may use, of the groups that are limited."""
    for group in groups(root, "cpu"):
        words = [*_words(group / "cpu.max"), *_words(group / "cpu.cfs_quota_us"), *_words(group / "cpu.cfs_period_us")]
        if (
            len(words) >= 2 and all(word.isdigit() for word in words[:2]) and int(words[1]) > 0
        ):  # "max" and -1: no limit
            yield int(words[0]) / int(words[1])


def memory_limits(root: Path) -> Iterator[int]:
    """The bytes that each control group of this process may use, of the groups that are limited."""
    for group in groups(root, "memory"):
        for word in (word for name in _MEMORY_FILES for word in _words(group / name)):
            if word.isdigit() and int(word) < UNLIMITED_BYTES:
                yield int(word)


def groups(root: Path, controller: str) -> Iterator[Path]:
    """The folders of this process's control groups, of either version, each with those above it up to its mount."""
    own = dict(_own_groups(root))
    for kind, controllers, top, mounted_at in _mounts(root):
        name = controller if kind == "cgroup" else ""
        if name not in own or (name and name not in controllers):
            continue
        folder = mounted_at
        yield folder
        for part in own[name].removeprefix(top if top != "/" else "").strip("/").split("/"):
            folder /= part  # not there in a container that sees only its own group: then there is nothing to read
            if part:
                yield folder


def _own_groups(root: Path) -> Iterator[tuple[str, str]]:
    """The path of this process's group for each controller of version 1, and for "", version 2."""
    for line in _lines(root / "proc/self/cgroup"):
        _, controllers, path = line.split(":", 2)
        for name in controllers.split(","):
            yield name, path


def _mounts(root: Path) -> Iterator[tuple[str, list[str], str, Path]]:
    """Where control groups are mounted: the kind, the options (v1: its controllers), which group, and the folder."""
    for line in _lines(root / "proc/self/mountinfo"):
        place, _, about = line.partition(" - ")
        words = about.split()
        if len(words) > 2 and words[0] in ("cgroup", "cgroup2"):
            top, folder = place.split()[3:5]
            yield words[0], words[2].split(","), top, root / folder.lstrip("/")


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text("utf-8", "replace").splitlines()
    except OSError:
        return []  # no Linux, or nothing that one may look at


def _words(file: Path) -> list[str]:
    return [word for line in _lines(file) for word in line.split()]


def progress(pid: int) -> object:
    """What changes as long as a process computes or waits for a disk, and stays as it is while it is stopped or idle.

    None where the system does not tell.
    """
    try:
        words = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    except OSError:
        return None
    if words[0] == "D":
        return object()
    return int(words[11]) + int(words[12])  # utime and stime, of proc(5)


def waited_s(pid: int) -> dict[int, float]:
    """For how many seconds each thread of a process has waited for a core so far, as it knew when it last got one.

    Empty where the system does not tell.
    """
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return {}
    told = ((int(task.name), _words(task / "schedstat")) for task in tasks)
    return {thread: int(words[1]) / 1e9 for thread, words in told if len(words) > 1}
