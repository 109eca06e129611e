"""What uploads take of the disk is looked at once for many."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest
from waiting import PATIENCE_S

from service.api import disk
from service.api.disk import UploadRoom
from service.errors import Overloaded
from service.evaluation.queue.uploads import Uploads
from service.settings import Settings


class CountedLooks(Uploads):
    looks = 0

    def used_bytes(self) -> Counter[str]:
        self.looks += 1
        return super().used_bytes()


@pytest.fixture
def uploads(tmp_path: Path) -> CountedLooks:
    return CountedLooks(tmp_path)


@pytest.fixture
def room(uploads: CountedLooks, monkeypatch: pytest.MonkeyPatch) -> UploadRoom:
    """One that looks again only where it has to, however slow the machine is."""
    monkeypatch.setattr(disk, "LOOK_S", PATIENCE_S)
    return UploadRoom(uploads, Settings(uploads_disk_bytes=1000, client_share=0.75))


async def test_one_look_at_the_disk_tells_all_who_come_within_a_moment(room: UploadRoom, uploads: CountedLooks) -> None:
    await asyncio.gather(*(room.check(f"client {number}", 1) for number in range(300)))
    assert uploads.looks == 1


async def test_what_was_let_in_counts_until_it_is_seen_how_much_of_it_has_come(
    room: UploadRoom, uploads: CountedLooks
) -> None:
    await room.check("one", 700)
    await room.check("two", 100)
    assert uploads.looks == 1
    await room.check("two", 250)
    assert uploads.looks == 2


async def test_what_is_gone_is_seen_before_anybody_is_refused(room: UploadRoom, uploads: CountedLooks) -> None:
    (uploads.begin("a", owner="one") / "generated").write_bytes(bytes(700))
    with pytest.raises(Overloaded):
        await room.check("one", 300)
    uploads.discard("a")
    await room.check("one", 300)


async def test_what_nobody_said_would_come_counts_where_it_is_asked_afresh(
    room: UploadRoom, uploads: CountedLooks
) -> None:
    await room.check("one")
    (uploads.begin("a", owner="one") / "generated").write_bytes(bytes(900))
    await room.check("one")
    with pytest.raises(Overloaded):
        await room.check("one", afresh=True)
