"""Open pages hear of what concerns them, in time and not for ever."""

import asyncio
from typing import Any

import pytest

from kit.access import Audience
from kit.errors import Crowded, Unavailable
from kit.identity import Account, Principal, Role
from services.portal.live import Ear, Interest, Live, interest_of


class Audiences:
    """Stands in for the documents: who may see which study."""

    def __init__(self, **keys: list[str]) -> None:
        self.keys, self.reads, self.away = keys, 0, False

    async def get(self, _: Any, study_id: str) -> Audience | None:
        self.reads += 1
        if self.away:
            raise Unavailable("the store", "it is away")
        return Audience(id=study_id, keys=self.keys[study_id]) if study_id in self.keys else None


def made(**keys: list[str]) -> tuple[Live, Audiences]:
    audiences: Any = Audiences(**keys)
    return Live(audiences), audiences


def soon(seconds: float = 20) -> float:
    return asyncio.get_running_loop().time() + seconds


async def told(ear: Ear, count: int) -> list[str]:
    return [await ear.next(soon()) for _ in range(count)]


def reader(*roles: Role, departments: tuple[str, ...] = ()) -> Principal:
    return Principal(Account(id="r", name="R", roles=list(roles), departments=list(departments)))


async def test_each_page_hears_of_what_it_is_about_and_nothing_else():
    live, audiences = made(s1=["account:r", "submission:sub1"], s2=["account:x", "department:ct"])
    asked = [
        (interest_of(reader(Role.VIEW_ALL)), ["s1", "s2", "sub1", "end"]),
        (interest_of(reader(Role.VIEW_ALL), "s2"), ["s2", "end"]),
        (interest_of(reader(Role.SEND)), ["s1", "end"]),
        (interest_of(reader(Role.VIEW, departments=("CT",))), ["s1", "s2", "end"]),
        (interest_of(reader(Role.VIEW, departments=("CT",)), "s2"), ["s2", "end"]),
        (interest_of(reader(), "s1"), ["end"]),
        (Interest(frozenset({"sub1", "submission:sub1"})), ["s1", "sub1", "end"]),
    ]
    ears = []
    for interest, expected in asked:
        live.attend(ear := Ear(), interest)
        ears.append((ear, expected))
    for changed in ("s1", "s2", "sub1"):
        live.tell(changed)
    while audiences.reads < 3:
        await asyncio.sleep(0)
    for ear, expected in ears:
        ear.interest = Interest()
        ear.hear("end")
        assert await told(ear, len(expected)) == expected


async def test_a_change_costs_one_read_however_many_pages_are_open():
    live, audiences = made(s1=["account:r"])
    ears = [Ear() for _ in range(200)]
    for ear in ears:
        live.attend(ear, interest_of(reader(Role.SEND)))
    live.tell("s1")
    assert [await ear.next(soon()) for ear in ears] == ["s1"] * 200
    assert audiences.reads == 1


async def test_the_beat_comes_in_time_however_much_there_is_to_tell():
    live, _ = made()
    with live.listening("a") as ear:
        live.attend(ear, interest_of(reader(Role.ADMIN)))
        ear.hear("s1")
        assert await ear.next(soon(0)) == ""
        assert await ear.next(soon()) == "s1"
        assert await ear.next(soon(0.01)) == ""


async def test_a_page_that_does_not_read_costs_nothing_more():
    live, audiences = made()
    with live.listening("a") as slow:
        live.attend(slow, interest_of(reader(Role.ADMIN)))
        for number in range(2000):
            live.tell(f"s{number}")
        while audiences.reads < 2000:
            await asyncio.sleep(0)
        assert await told(slow, 500) == [f"s{number}" for number in range(500)]
        assert await slow.next(soon(0.01)) == ""


async def test_who_may_see_less_by_now_hears_less_and_who_left_nothing():
    live, audiences = made(s1=["account:r"])
    with live.listening("a") as ear:
        live.attend(ear, interest_of(reader(Role.ADMIN)))
        live.attend(ear, interest_of(reader(Role.SEND)))
        live.tell("s2")
        live.tell("s1")
        assert await ear.next(soon()) == "s1"
    before = audiences.reads
    live.tell("s1")
    await asyncio.sleep(0)
    assert audiences.reads == before, "nobody listens any more"


async def test_there_is_an_end_to_open_pages_each_and_in_all():
    audiences: Any = Audiences()
    live = Live(audiences, most=3, most_each=2)
    with live.listening("a"), live.listening("b"):
        with live.listening("a"), pytest.raises(Crowded):
            live.require_room("a")
        with live.listening("b"), pytest.raises(Crowded):
            live.require_room("c")
        live.require_room("c")


async def test_what_changed_while_the_store_is_away_may_be_missed_and_what_comes_after_is_not():
    live, audiences = made()
    with live.listening("a") as ear:
        live.attend(ear, interest_of(reader(Role.ADMIN)))
        audiences.away = True
        live.tell("s1")
        while not audiences.reads:
            await asyncio.sleep(0)
        audiences.away = False
        live.tell("s2")
        assert await ear.next(soon()) == "s2"
    await live.stop()


async def test_what_changed_is_spread_and_what_others_tell_is_not():
    live, _ = made()
    spread: list[str] = []
    live.spread = spread.append
    with live.listening("a") as ear:
        live.attend(ear, interest_of(reader(Role.ADMIN)))
        live.tell("s1")
        live.changed("s2")
        assert await told(ear, 2) == ["s1", "s2"]
    assert spread == ["s2"]
