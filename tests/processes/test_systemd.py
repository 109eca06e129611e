import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from service.processes.supervisor import ENGINE_STOP_S
from service.processes.systemd import Systemd
from service.settings import Settings

UNIT = Path(__file__).parents[2] / "deploy/systemd/chapterhouse.service"
MOST_EXPOSED = 20
"""Of 100, by systemd's own reckoning."""


def test_systemd_is_told_when_it_serves_lives_and_stops(tmp_path: Path) -> None:
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(address)
        listening.settimeout(10)
        systemd = Systemd(address)
        systemd.serving("http://127.0.0.1:8000", Settings(fronts=2, evaluators=1))
        systemd.alive()
        systemd.stopping()
        told = [listening.recv(4096).decode() for _ in range(3)]
    assert told[0] == "READY=1\nSTATUS=serving on http://127.0.0.1:8000, 2 fronts, 1 evaluators"
    assert told[1] == "WATCHDOG=1"
    assert told[2].startswith("STOPPING=1\n")


@pytest.mark.parametrize("address", ["", "/nowhere/at/all", "@nobody-listens-here"])
def test_where_nobody_listens_the_service_goes_on(address: str) -> None:
    Systemd(address).alive()


def unit() -> dict[str, str]:
    lines = [line for line in UNIT.read_text("utf-8").splitlines() if "=" in line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def test_the_unit_leaves_the_service_the_time_that_it_takes_to_stop() -> None:
    fields = Settings.model_fields
    longest_s = fields["drain_delay_s"].default + fields["drain_timeout_s"].default + 2 * ENGINE_STOP_S
    assert longest_s < float(unit()["TimeoutStopSec"])
    assert float(unit()["WatchdogSec"]) > 4 * fields["beat_s"].default
    assert unit()["Type"] == "notify"
    assert unit()["KillMode"] == "mixed"  # the supervisor ends its children


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_takes_the_unit_and_finds_it_confined(tmp_path: Path) -> None:
    copy = tmp_path / UNIT.name
    copy.write_text(UNIT.read_text("utf-8").replace("/opt/chapterhouse/bin/chapterhouse", shutil.which("true") or ""))
    for command in (["verify"], ["security", "--offline=true", f"--threshold={MOST_EXPOSED}"]):
        asked = subprocess.run(["systemd-analyze", *command, copy], capture_output=True, text=True, check=False)
        assert asked.returncode == 0, asked.stdout + asked.stderr
