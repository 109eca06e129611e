import asyncio

from service.api.beginnings import Beginnings


async def begin(beginnings: Beginnings, client: str, order: list[str]) -> None:
    await beginnings.take(client)
    order.append(client)


async def test_clients_begin_one_in_a_turn() -> None:
    beginnings, order = Beginnings(), list[str]()
    async with asyncio.TaskGroup() as group:
        for client in ["greedy"] * 50 + ["modest"]:
            group.create_task(begin(beginnings, client, order))
        await asyncio.sleep(0)
        assert sorted(order) == ["greedy", "modest"]
    assert len(order) == 51


async def test_who_comes_in_between_begins_at_once() -> None:
    beginnings, order = Beginnings(), list[str]()
    async with asyncio.TaskGroup() as group:
        for _ in range(50):
            group.create_task(begin(beginnings, "greedy", order))
        await asyncio.sleep(0)
        await begin(beginnings, "modest", order)
        assert order == ["greedy", "modest"]


async def test_who_goes_while_waiting_leaves_his_turn_to_the_next() -> None:
    beginnings, order = Beginnings(), list[str]()
    first, gone, last = [asyncio.create_task(begin(beginnings, "one", order)) for _ in range(3)]
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.gather(first, gone, last, return_exceptions=True)
    assert order == ["one", "one"]


async def test_nothing_is_kept_of_clients_that_have_begun_all() -> None:
    beginnings, order = Beginnings(), list[str]()
    await asyncio.gather(*(begin(beginnings, client, order) for client in "aab"))
    for _ in range(3):
        await asyncio.sleep(0)
    assert vars(beginnings) == {"_waiting": {}}
