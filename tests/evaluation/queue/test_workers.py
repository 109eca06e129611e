import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from waiting import PATIENCE_S

from service.evaluation.queue.workers import Workers, home_of

HOLD = """
import sys
from pathlib import Path
from service.evaluation.queue.workers import Workers
worker = Workers(Path(sys.argv[1])).enter()
print(worker.name, flush=True)
sys.stdin.read()
"""


def test_a_state_directory_has_one_id_for_ever(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(home_of, [tmp_path / "new"] * 32))
    assert len(found) == 1
    assert home_of(tmp_path / "new") in found
    assert home_of(tmp_path / "other") not in found
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["home"]


def test_a_name_is_held_until_it_is_left(tmp_path: Path) -> None:
    workers = Workers(tmp_path)
    first, second = workers.enter(), workers.enter()
    assert first.name != second.name
    assert not workers.is_gone(first.name)
    first.leave()
    assert workers.is_gone(first.name)
    assert not workers.is_gone(second.name)
    second.leave()


def test_a_process_that_is_killed_is_gone_at_once(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        name = process.stdout.readline().strip()
        assert not Workers(tmp_path).is_gone(name)
        process.send_signal(signal.SIGKILL)
        process.wait(PATIENCE_S)
    assert Workers(tmp_path).is_gone(name)
    assert list((tmp_path / "evaluators").iterdir()) == []
