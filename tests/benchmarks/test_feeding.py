"""What the programs that feed engines count, and that a short run of them works."""

import asyncio
from pathlib import Path

import numpy as np
import pytest

from benchmarks import engines, feeding
from benchmarks.feeding import BLOCK_SHAPE, GOALS, MEMORY_BYTES, Rate, asked, taker
from service.runtime.calls import Call
from service.runtime.duties import Duty, socket_of


def test_the_best_of_each_way_counts_beside_its_goal() -> None:
    shared = {name: Rate(goal / 2, goal * 2) for name, goal in GOALS.items()}
    sent = {name: Rate(goal / 4, goal) for name, goal in GOALS.items()}
    head, _, *lines, _, copy = feeding.table({"shared": shared, "socket": sent}, 6e9)
    assert head.startswith("| a second | shared memory | socket | ratio")
    assert lines[0] == "| one by one | 30,000 | 15,000 | 2.00 | 120,000 | 60,000 | 2.00 | 60,000 | 2.00 |"
    assert lines[1] == "| in forms of 64 | 200,000 | 100,000 | 2.00 | 800,000 | 400,000 | 2.00 | 400,000 | 0.50 |"
    assert copy == "a copy within a process: 6,000 MB a second; blocks go at 0.25 of that"
    assert Rate(1, 4).best(Rate(2, 3)) == Rate(2, 4)


def test_engines_that_stand_idle_are_named() -> None:
    shares = {"interactive": [0.98, 0.97, 0.90], "bulk": [0.9, 0.9, 0.9]}
    assert engines.faults([1, 2, 8], shares) == ["interactive: 8 engines are 0.918 of linear"]
    assert engines.table([1, 2, 8], shares)[2] == "| interactive | 0.980 | 0.970 | 0.900 |"


def test_the_engines_of_a_service_are_found_by_the_names_of_their_sockets(tmp_path: Path) -> None:
    folder = tmp_path / "tmp" / "chapterhouse-1"
    folder.mkdir(parents=True)
    engines_there = [socket_of(folder, number, duty) for number, duty in enumerate(Duty)]
    for socket in (*engines_there, folder / "supervisor.sock"):
        socket.touch()
    assert sorted(engines.sockets_in(tmp_path)) == sorted(engines_there)
    with pytest.raises(AssertionError, match="no engine listens"):
        engines.sockets_in(folder)


@pytest.mark.slow
@pytest.mark.parametrize("memory_bytes", [0, MEMORY_BYTES])
def test_blocks_reach_another_process(sockets: Path, memory_bytes: int) -> None:
    block = np.ones((2, *BLOCK_SHAPE[1:]), np.uint8)
    with taker(sockets, "link", memory_bytes) as other:
        rate = asyncio.run(asked(other, Call("nothing", "copy"), block, open_at_once=2, seconds=0.1))
    assert rate.wall > 0
