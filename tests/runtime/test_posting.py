from pathlib import Path

import numpy as np
import pytest
from runtime.behind import Answering, Behind
from runtime.test_pool import CALL, Dying, connected, listening
from waiting import eventually

from service.runtime.duties import Duty
from service.runtime.link import ConnectionLost, Link
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
    assert pool.post(CALL, [np.arange(3)], heard.append, request_id="r1") is not None
    await eventually(lambda: heard)
    assert isinstance(heard[0], ConnectionLost if deaths == 2 else list)
    assert [work.request_id for work in dying.works] == ["r1", "r1"]
    await pool.stop()
    await dying.listener.close()


async def test_what_is_withdrawn_tells_nobody_anything(sockets: Path) -> None:
    behind = Behind()
    listener = await listening(behind, sockets / "0.sock")
    pool = EnginePool([sockets / "0.sock"])
    assert pool.post(CALL, [np.arange(3)], told) is None  # no engine is there yet
    lost = await Link.connect(sockets / "0.sock")
    lost.close()
    await lost.closed.wait()
    pool._duties[lost] = Duty.ALL
    pool._links.append(lost)  # as a connection is that was lost while it was made
    assert pool.post(CALL, [np.arange(3)], told) is None
    pool._forget(lost)
    await pool.start()
    await connected(pool, 1)
    withdraw = pool.post(CALL, [np.arange(3)], told)
    assert withdraw is not None
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
    withdraw = pool.post(CALL, [np.arange(3)], told)
    assert withdraw is not None
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
