from functools import partial
from pathlib import Path

import numpy as np
import pytest
from runtime.behind import Answering, Behind
from runtime.test_pool import CALL, Dying, connected, listening
from waiting import eventually

from service.runtime.calls import Array, Asked
from service.runtime.link import ConnectionLost
from service.runtime.pool import EnginePool


def told(_outcome: object) -> None:
    """Nobody should be."""
    raise AssertionError


@pytest.mark.parametrize("deaths", [1, 2])
async def test_what_nobody_waits_for_is_tried_once_more_too(sockets: Path, deaths: int) -> None:
    dying = Dying(deaths)
    dying.listener = await listening(dying, sockets / "0.sock")
    pool = EnginePool([sockets / "0.sock"])
    await pool.start()
    await connected(pool, 1)
    heard: list[object] = []
    pool.post(CALL, [Asked(np.arange(3), heard.append, "r1")])
    await eventually(lambda: heard)
    assert isinstance(heard[0], ConnectionLost if deaths == 2 else list)
    assert [work.request_id for work in dying.works] == ["r1", "r1"]
    await pool.stop()
    await dying.listener.close()


async def test_what_is_withdrawn_tells_nobody_anything(sockets: Path) -> None:
    behind = Behind()
    listener = await listening(behind, sockets / "0.sock")
    pool = EnginePool([sockets / "0.sock"])
    await pool.start()
    await connected(pool, 1)
    [withdraw] = pool.post(CALL, [Asked(np.arange(3), told)])
    await eventually(lambda: behind.works)
    withdraw()
    await eventually(lambda: behind.cancelled)
    await pool.stop()
    await listener.close()


async def test_what_is_withdrawn_while_it_is_tried_again_tells_nobody_anything(sockets: Path) -> None:
    behind, other = Behind(), Answering()
    listener = await listening(behind, sockets / "0.sock")
    pool = EnginePool([sockets / "0.sock"])
    await pool.start()
    await connected(pool, 1)
    [withdraw] = pool.post(CALL, [Asked(np.arange(3), told)])
    await eventually(lambda: behind.works)
    await listener.close()
    await eventually(lambda: not pool._links)
    withdraw()
    listener = await listening(other, sockets / "0.sock")
    await connected(pool, 1)
    [answer] = await pool.submit(CALL, [np.arange(2)])
    np.testing.assert_array_equal(answer, np.arange(2))
    await pool.stop()
    await listener.close()


async def test_what_is_asked_while_no_engine_is_there_waits_for_one(sockets: Path) -> None:
    pool = EnginePool([sockets / "0.sock"])
    heard: list[list[Array] | BaseException] = []
    _, withdraw = pool.post(CALL, [Asked(np.arange(3), heard.append), Asked(np.arange(2), told)])
    withdraw()
    listener = await listening(Answering(), sockets / "0.sock")
    await pool.start()
    await eventually(lambda: heard)
    assert isinstance(heard[0], list)
    np.testing.assert_array_equal(heard[0][0], np.arange(3))
    await pool.stop()
    await listener.close()


async def test_questions_alike_go_together_and_others_with_them_are_answered_too(sockets: Path) -> None:
    listener = await listening(Answering(), sockets / "0.sock")
    pool = EnginePool([sockets / "0.sock"])
    await pool.start()
    await connected(pool, 1)
    asked = [np.arange(3), np.arange(3, 6), np.arange(2), np.arange(4.0), np.arange(1)]
    heard: dict[int, list[Array] | BaseException] = {}
    pool.post(CALL, [Asked(rows, partial(heard.__setitem__, place)) for place, rows in enumerate(asked)])
    await eventually(lambda: len(heard) == len(asked))
    for place, rows in enumerate(asked):
        answer = heard[place]
        assert isinstance(answer, list)
        np.testing.assert_array_equal(answer[0], rows)
    await pool.stop()
    await listener.close()
