import asyncio
from typing import cast

from service.api.connections.intake import AT_ONCE, LARGE_BYTES, Flow, Intake


class Reading:
    """A transport that knows whether it is read from."""

    def __init__(self) -> None:
        self.reads = True
        self.closing = False

    def pause_reading(self) -> None:
        self.reads = False

    def resume_reading(self) -> None:
        assert not self.closing
        self.reads = True

    def is_closing(self) -> bool:
        return self.closing


def connected() -> tuple[Reading, Flow]:
    transport = Reading()
    return transport, Flow(cast("asyncio.Transport", transport))


async def test_so_many_connections_read_a_large_piece_in_one_turn_in_the_order_of_their_coming() -> None:
    intake, lines = Intake(), [connected() for _ in range(2 * AT_ONCE + 1)]
    for _, flow in lines:
        intake.took(flow, LARGE_BYTES)
    for allowed in (0, AT_ONCE, 2 * AT_ONCE, 2 * AT_ONCE + 1):
        assert [transport.reads for transport, _ in lines] == [place < allowed for place in range(len(lines))]
        await asyncio.sleep(0)


async def test_whoever_wants_to_read_on_waits_for_its_turn_and_whoever_does_not_is_not_made_to() -> None:
    intake = Intake()
    (paused, flow), (wanted, other) = connected(), connected()
    flow.pause_reading()
    other.pause_reading()
    for each in (flow, other):
        intake.took(each, LARGE_BYTES)
    other.resume_reading()
    assert not wanted.reads
    await asyncio.sleep(0)
    assert (paused.reads, wanted.reads) == (False, True)
    flow.resume_reading()
    assert paused.reads


async def test_a_pause_while_it_waits_outlasts_its_turn() -> None:
    transport, flow = connected()
    Intake().took(flow, LARGE_BYTES)
    flow.pause_reading()
    await asyncio.sleep(0)
    assert not transport.reads


async def test_a_connection_that_closes_meanwhile_is_left_alone() -> None:
    transport, flow = connected()
    Intake().took(flow, LARGE_BYTES)
    transport.closing = True
    await asyncio.sleep(0)
    assert not transport.reads


async def test_small_pieces_never_wait() -> None:
    transport, flow = connected()
    Intake().took(flow, LARGE_BYTES - 1)
    assert transport.reads
