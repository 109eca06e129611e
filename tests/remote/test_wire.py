"""Changes of evaluations reach the other processes of a cluster, once."""

from remote.deployments import Deployment
from waiting import eventually

from service.evaluation.queue.changes import Change, Changes
from service.evaluation.queue.wire import carry
from service.remote.hub import Hub, Member
from service.remote.wire import HubWire


async def test_a_change_of_one_process_arrives_in_the_other() -> None:
    hub = Deployment([Hub(set())])
    heard: list[Change] = []
    front, evaluator = Member(hub, "front"), Member(hub, "evaluator")
    theirs, ours = Changes(), Changes()
    carry(ours, HubWire(front))
    carry(theirs, HubWire(evaluator))
    ours.listen(heard.append)
    await front.start()
    await evaluator.start()
    theirs.tell(Change("7", "done"))
    await eventually(lambda: Change("7", "done") in heard)
    assert Change() in heard, "whoever begins to hear looks for himself once"
    await front.stop()
    await evaluator.stop()


async def test_where_nobody_hears_a_change_nothing_fails() -> None:
    class Deaf:
        def exchange(self, *_: object) -> None:
            raise OSError

    deaf = Deployment([Deaf()])
    wire = HubWire(Member(deaf, "front"))
    wire.tell({"id": "1", "status": "done"})
    await eventually(lambda: not wire._telling)
