"""Cores and memory are those of the container, under either version of control groups."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from waiting import until

from service import machine
from service.machine import cores, groups, memory_bytes, memory_limits, progress, quotas, waited_s

V2 = "0::/pods/one\n"
V2_MOUNT = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
V1 = "4:memory:/docker/one\n3:cpu,cpuacct:/docker/one\n1:name=systemd:/docker/one\n0::/\n"
V1_MOUNTS = (
    "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
    "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
    "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
)


def system(root: Path, own: str, mounts: str, files: dict[str, str]) -> Path:
    """What a process would see under /proc and /sys."""
    said = {"proc/self/cgroup": own, "proc/self/mountinfo": f"22 1 8:1 / / rw - ext4 /dev/sda rw\n{mounts}", **files}
    for name, text in said.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_a_quota_of_version_2_counts_wherever_it_stands_above_the_process(tmp_path: Path) -> None:
    files = {
        "sys/fs/cgroup/pods/cpu.max": "250000 100000\n",
        "sys/fs/cgroup/pods/one/cpu.max": "max 100000\n",
        "sys/fs/cgroup/pods/memory.max": "max\n",
        "sys/fs/cgroup/pods/one/memory.max": "536870912\n",
    }
    root = system(tmp_path, V2, V2_MOUNT, files)
    assert list(quotas(root)) == [2.5]
    assert list(memory_limits(root)) == [512 << 20]


def test_a_container_that_sees_its_own_group_as_the_root_reads_it_there(tmp_path: Path) -> None:
    root = system(tmp_path, "0::/\n", V2_MOUNT, {"sys/fs/cgroup/cpu.max": "50000 100000\n"})
    assert list(quotas(root)) == [0.5]
    assert list(memory_limits(root)) == []


@pytest.mark.parametrize("where", ["docker/one/", ""])
def test_a_quota_of_version_1_counts_also_where_only_its_own_group_is_mounted(tmp_path: Path, where: str) -> None:
    files = {
        f"sys/fs/cgroup/cpu,cpuacct/{where}cpu.cfs_quota_us": "200000\n",
        f"sys/fs/cgroup/cpu,cpuacct/{where}cpu.cfs_period_us": "100000\n",
        f"sys/fs/cgroup/memory/{where}memory.limit_in_bytes": "1073741824\n",
        "sys/fs/cgroup/unified/cpu.max": "max 100000\n",
    }
    root = system(tmp_path, V1, V1_MOUNTS, files)
    assert list(quotas(root)) == [2.0]
    assert list(memory_limits(root)) == [1 << 30]


def test_a_mount_of_a_part_of_the_groups_is_followed_from_there(tmp_path: Path) -> None:
    mounts = V2_MOUNT.replace("0:26 / ", "0:26 /pods ")
    root = system(tmp_path, V2, mounts, {"sys/fs/cgroup/one/cpu.max": "300000 100000\n"})
    assert list(quotas(root)) == [3.0]


def test_what_is_not_limited_limits_nothing(tmp_path: Path) -> None:
    files = {
        "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1\n",
        "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
    }
    root = system(tmp_path, V1, V1_MOUNTS, files)
    assert list(quotas(root)) == []
    assert list(memory_limits(root)) == []


def test_a_system_without_control_groups_has_none(tmp_path: Path) -> None:
    assert list(groups(tmp_path, "cpu")) == []


def test_no_more_cores_are_counted_than_this_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5})
    cores.cache_clear()
    try:
        assert 1 <= cores() <= 2
    finally:
        cores.cache_clear()
    assert 0 < memory_bytes() < machine.UNLIMITED_BYTES


@pytest.mark.skipif(sys.platform != "linux", reason="other systems tell it otherwise")
def test_a_process_that_computes_makes_progress_and_one_that_was_stopped_does_not() -> None:
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as process:
        begun = progress(process.pid)
        until(lambda: progress(process.pid) != begun)
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED)
        stopped = progress(process.pid)
        assert progress(process.pid) == stopped
        process.kill()
    assert progress(process.pid) is None


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell")
def test_of_two_that_want_one_core_it_is_told_how_long_they_waited_for_it() -> None:
    with (
        subprocess.Popen([sys.executable, "-c", "while True: pass"]) as one,
        subprocess.Popen([sys.executable, "-c", "while True: pass"]) as other,
    ):
        core = min(os.sched_getaffinity(0))
        for process in (one, other):
            os.sched_setaffinity(process.pid, {core})
        begun = waited_s(one.pid)[one.pid]
        until(lambda: waited_s(one.pid)[one.pid] > begun + 0.05)
        one.kill()
        other.kill()
    assert waited_s(one.pid) == {}
