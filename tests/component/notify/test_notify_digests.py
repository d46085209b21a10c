"""Digests made by several processes at once: every notice is told, by one message alone."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import pytest

from kit.documents.mongo import Mongo, MongoDocuments, MongoSettings
from kit.errors import Uncertain
from kit.service import Kit
from kit.tasks import TaskRunner
from schemas.envelope import Event
from services.notify import tasks
from services.notify.models import NOTICES, Notice, State
from services.notify.ports import Ports
from tests.component.notify.conftest import Bench, MovingClock
from tests.neighbours.engines import engine


@dataclass
class Mail:
    """Takes every message, or says nothing after it took one."""

    silent: bool = False
    sent: list[bytes] = field(default_factory=list)

    async def send(self, sender: str, recipient: str, message: bytes) -> str:
        self.sent.append(message)
        if self.silent:
            raise Uncertain("mail server", "fell silent")
        return "taken"


@pytest.fixture(params=["embedded", "mongo"])
async def bench(request: pytest.FixtureRequest, kit_env: Kit) -> AsyncIterator[Bench]:
    clock = MovingClock()
    if request.param == "embedded":
        yield Bench(replace(kit_env, clock=clock), clock)
        return
    name = f"digests_{secrets.token_hex(6)}"
    mongo = Mongo(MongoSettings(url=f"mongodb://{engine('mongo')}", database=name))

    async def publish(events: Sequence[Event]) -> None:
        await kit_env.bus.publish(events)

    documents = MongoDocuments(mongo.database, publish, clock)
    await documents.ensure_indexes([NOTICES])
    yield Bench(replace(kit_env, documents=documents, clock=clock), clock)
    await mongo.database.client.drop_database(name)
    mongo.close()


@pytest.fixture
def mail() -> Mail:
    return Mail()


@pytest.fixture
async def processes(bench: Bench, mail: Mail) -> AsyncIterator[list[TaskRunner[Notice]]]:
    """Three processes of notify at one store."""
    runners: list[TaskRunner[Notice]] = []
    for owner in ("one", "two", "three"):
        ports = at(bench, mail)
        runners.append(
            TaskRunner(
                bench.kit.documents,
                NOTICES,
                where={"channel": "email"},
                work=partial(tasks.deliver, ports),
                give_up=partial(tasks.give_up, ports),
                clock=bench.clock,
                owner=owner,
            )
        )
    for runner in runners:
        await runner.start()
    yield runners
    for runner in runners:
        await runner.stop()


def at(bench: Bench, mail: Mail) -> Ports:
    ports = bench.ports()
    ports.mail = mail
    return ports


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while not await condition():
            await asyncio.sleep(0.01)


async def test_what_several_processes_held_is_told_once(
    bench: Bench, mail: Mail, processes: list[TaskRunner[Notice]]
) -> None:
    for number in range(40):
        await bench.queue(number, state=State.HELD, recipient=f"clinic{number // 8}@example.org")

    async def taken_up() -> bool:
        bench.clock.move(seconds=0.1)
        for runner in processes:
            runner.poke()
        return {notice.state for notice in await bench.notices()} <= {State.SENT, State.COMBINED}

    async def ended() -> bool:
        for runner in processes:
            runner.poke()
        return all(notice.due_at is None for notice in await bench.notices())

    await until(taken_up)
    bench.clock.move(minutes=2)
    await until(ended)
    notices = await bench.notices()
    led = [notice for notice in notices if notice.state is State.SENT]
    told = [told for notice in led for told in (notice.id, *notice.stands_for)]
    assert sorted(told) == sorted(notice.id for notice in notices)
    assert len(mail.sent) == len(led)


async def test_two_that_come_to_it_at_the_same_moment_are_both_told(bench: Bench, mail: Mail) -> None:
    first, second = await bench.queue(1, state=State.HELD), await bench.queue(2, state=State.HELD)
    await asyncio.gather(
        tasks.deliver(at(bench, mail), first), tasks.deliver(at(bench, mail), second), return_exceptions=True
    )
    bench.clock.move(minutes=2)
    for number in (1, 2):
        await tasks.deliver(at(bench, mail), await bench.notice(number))
    states = [(await bench.notice(number)).state for number in (1, 2)]
    assert State.SENT in states
    assert set(states) <= {State.SENT, State.COMBINED}
    assert len(mail.sent) == states.count(State.SENT)


async def test_one_that_leads_is_taken_in_by_no_other(bench: Bench, mail: Mail) -> None:
    await bench.queue(1, state=State.HELD)
    await bench.queue(2, state=State.HELD, leads=True)
    await bench.queue(3, state=State.HELD)
    await tasks.deliver(at(bench, mail), await bench.notice(1))
    assert (await bench.notice(1)).stands_for == [f"{3:032x}"]
    await tasks.deliver(at(bench, mail), await bench.notice(2))
    assert (await bench.notice(2)).state is State.SENT
    assert len(mail.sent) == 2


async def test_a_process_that_died_after_it_took_notices_in_has_its_digest_sent(
    bench: Bench, mail: Mail
) -> None:
    await bench.queue(1, state=State.HELD, leads=True)
    await bench.queue(2, state=State.COMBINED, combined_into=f"{1:032x}")
    await tasks.deliver(at(bench, mail), await bench.notice(2))
    assert (await bench.notice(2)).due_at is not None
    await tasks.deliver(at(bench, mail), await bench.notice(1))
    assert b"2 messages from" in mail.sent[0]
    await tasks.deliver(at(bench, mail), await bench.notice(2))
    assert (await bench.notice(2)).state is State.COMBINED
    assert (await bench.notice(2)).due_at is None


async def test_one_that_was_taken_in_too_late_waits_again_and_is_told(bench: Bench, mail: Mail) -> None:
    await bench.queue(1, state=State.SENT, due_at=None, leads=True)
    await bench.queue(2, state=State.COMBINED, combined_into=f"{1:032x}")
    await tasks.deliver(at(bench, mail), await bench.notice(2))
    assert (await bench.notice(2)).state is State.HELD
    bench.clock.move(seconds=1)
    await tasks.deliver(at(bench, mail), await bench.notice(2))
    assert (await bench.notice(2)).state is State.SENT
    assert len(mail.sent) == 1


async def test_a_digest_says_the_same_at_every_attempt(bench: Bench, mail: Mail) -> None:
    """Its Message-ID is the same too: a mail program shows one of them alone."""
    mail.silent = True
    await bench.queue(1, state=State.HELD)
    await bench.queue(2, state=State.HELD)
    with pytest.raises(Uncertain):
        await tasks.deliver(at(bench, mail), await bench.notice(1))
    await bench.queue(3, state=State.HELD)
    await bench.queue(4, state=State.COMBINED, combined_into=f"{1:032x}")
    mail.silent = False
    await tasks.deliver(at(bench, mail), await bench.notice(1))
    assert mail.sent[0] == mail.sent[1]
    assert (await bench.notice(1)).state is State.SENT


async def test_what_a_digest_told_of_fails_with_it(bench: Bench, mail: Mail) -> None:
    lead = await bench.queue(1, state=State.HELD, leads=True)
    told = await bench.queue(2, state=State.COMBINED, combined_into=lead.id)
    lead.stands_for = [told.id]
    await bench.kit.documents.save(NOTICES, lead)
    await tasks.give_up(at(bench, mail), await bench.notice(1), "no such mailbox")
    await tasks.deliver(at(bench, mail), await bench.notice(2))
    notice = await bench.notice(2)
    assert (notice.state, notice.due_at, notice.last_error) == (State.FAILED, None, "no such mailbox")
