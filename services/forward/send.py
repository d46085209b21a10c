"""Sending what a destination has not got yet. Each call is one bounded step."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing
from datetime import datetime, timedelta

from kit.acts import Act
from kit.destinations import Destination
from kit.dicom.pack import PackIndex, read_index
from kit.errors import Unavailable
from kit.saying import say
from services.forward import ledger as books
from services.forward.closing import close_failed, ledgers_of, pause, take_sums
from services.forward.kinds.port import Kind, Link, NotOffered, Outgoing, Wanted
from services.forward.ledger import LEDGERS, Ledger
from services.forward.means import Means
from services.forward.models import Delivery
from services.forward.prepare import Preparer, Row
from services.forward.progress import WINDOW, Progress
from services.forward.rules import statuses
from services.forward.rules.states import Happening, advance
from services.forward.rules.statuses import Outcome

_PACKS_AT_ONCE = 16
"""Packs whose indexes are held, and which share one conversation."""
_SENDS = {"dicom": "C-STORE", "stow": "STOW-RS"}


async def send(means: Means, delivery: Delivery) -> None:
    """One step of sending; ends in one save of the delivery. Raises TransientError when the
    destination is away or busy; what it took by then is in the ledgers."""
    destination, kind = await means.destination(delivery.destination)
    ledgers = {ledger.number: ledger for ledger in await ledgers_of(means.kit.documents, delivery.id)}
    await _settle_uncertain(means, delivery, destination, kind, ledgers)
    work = _work(ledgers, means.settings.instance_tries)
    progress = Progress(means, delivery, ledgers)
    until = means.kit.clock() + timedelta(seconds=means.settings.step_s)
    async with progress.ticking():
        numbers = sorted(work)
        for start in range(0, len(numbers), _PACKS_AT_ONCE):
            if means.kit.clock() >= until:
                break
            chunk = {number: work[number] for number in numbers[start : start + _PACKS_AT_ONCE]}
            await _send_packs(means, delivery, destination, kind, progress, chunk, until)
    await _conclude(means, delivery, list(ledgers.values()))


def _work(ledgers: dict[int, Ledger], tries: int) -> dict[int, int]:
    """Bitmaps by pack. What was refused before is offered again only after all else."""
    everything = {number: books.to_send(ledger, tries) for number, ledger in ledgers.items()}
    fresh = {number: bits & ~books.refused(ledgers[number]) for number, bits in everything.items()}
    chosen = fresh if any(fresh.values()) else everything
    return {number: bits for number, bits in chosen.items() if bits}


async def _conclude(means: Means, delivery: Delivery, ledgers: list[Ledger]) -> None:
    tries = means.settings.instance_tries
    sums = take_sums(delivery, ledgers, tries)
    fresh = any(books.to_send(ledger, tries) & ~books.refused(ledger) for ledger in ledgers)
    if fresh:
        await pause(means, delivery)
    elif sums.to_send:
        await pause(means, delivery, means.settings.instance_retry_s)
    elif sums.refused:
        count = sum(sums.refused.values())
        reasons = [statuses.words(status) for status in sorted(sums.refused)]
        await close_failed(
            means,
            delivery,
            Happening.REFUSED,
            say(
                "images-refused",
                "%(count)s of %(total)s images were not accepted. %(because)s. "
                "Look at these images and at the destination, then retry.",
                reasons,
                count=count,
                total=sums.total,
            ),
        )
    else:
        delivery.state = advance(delivery.state, Happening.ALL_SENT)
        await pause(means, delivery)


async def _send_packs(
    means: Means,
    delivery: Delivery,
    destination: Destination,
    kind: Kind,
    progress: Progress,
    work: dict[int, int],
    until: datetime,
) -> None:
    indexes = {
        number: await asyncio.to_thread(read_index, means.kit.objects, delivery.packs[number].index_key)
        for number in work
    }
    rows = list(_rows(delivery, work, indexes))
    for group in kind.groups([row.pair for row in rows]):
        mine = [row for row in rows if row.pair in group]
        with Act("send", "forward", _SENDS[destination.kind], inside=True) as act:
            act.details |= {"destination": destination.id, "instances": len(mine)}
            async with (
                kind.connect(destination, group, means.settings) as link,
                Preparer(means.kit, delivery) as preparer,
                aclosing(
                    _outgoing(preparer, link, progress, mine, lambda: means.kit.clock() >= until)
                ) as items,
                aclosing(link.store(items)) as answers,
            ):
                async for answer in answers:
                    result = progress.answered(answer.item.pack, answer.item.position, answer.status)
                    if result is Outcome.BUSY:
                        raise Unavailable(destination.id, statuses.words(answer.status))


def _rows(delivery: Delivery, work: dict[int, int], indexes: dict[int, PackIndex]) -> Iterator[Row]:
    for number, bits in work.items():
        for position in books.positions(bits):
            yield Row(number, delivery.packs[number], indexes[number].entries[position])


async def _outgoing(
    preparer: Preparer, link: Link, progress: Progress, rows: Sequence[Row], enough: Callable[[], bool]
) -> AsyncGenerator[Outgoing, None]:
    """Prepared instances, the next window being prepared while this one is sent, until there are no
    more or it is `enough` for one turn."""
    windows = list(_windows(rows))
    ahead = asyncio.create_task(preparer.prepare(windows[0], link)) if windows else None
    try:
        for place, window in enumerate(windows):
            assert ahead is not None
            if place and enough():
                return
            prepared = await ahead
            more = windows[place + 1 : place + 2]
            ahead = asyncio.create_task(preparer.prepare(more[0], link)) if more else None
            number = window[0].number
            await progress.reserve(
                number, books.bitmap(ready.position for ready in prepared if not ready.refusal)
            )
            for ready in prepared:
                if ready.refusal:
                    progress.answered(number, ready.position, ready.refusal)
                    continue
                async with ready.outgoing() as outgoing:
                    if outgoing is None:
                        progress.answered(number, ready.position, statuses.UNREADABLE_HERE)
                    else:
                        yield outgoing
    finally:
        if ahead is not None:
            ahead.cancel()
            await asyncio.gather(ahead, return_exceptions=True)


def _windows(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Runs of rows of one pack."""
    window: list[Row] = []
    for row in rows:
        if window and (len(window) >= WINDOW or window[0].number != row.number):
            yield window
            window = []
        window.append(row)
    if window:
        yield window


async def _settle_uncertain(
    means: Means, delivery: Delivery, destination: Destination, kind: Kind, ledgers: dict[int, Ledger]
) -> None:
    """After a crash: ask for what was on its way, so that it is not sent twice. Only an answer that
    names the patient ID we sent is believed; whatever is left in doubt is sent again, which does no
    harm (a C-STORE of the same instance replaces it)."""
    doubtful = {number: bits for number, ledger in ledgers.items() if (bits := books.uncertain(ledger))}
    patient_id = delivery.target.patient_id if delivery.target else ""
    if doubtful and patient_id and not delivery.replacing:
        places: dict[str, tuple[Ledger, int]] = {}
        series: dict[str, set[str]] = {}
        for number, bits in doubtful.items():
            index = await asyncio.to_thread(read_index, means.kit.objects, delivery.packs[number].index_key)
            for position in books.positions(bits):
                entry = index.entries[position]
                places[entry.sop_instance_uid] = (ledgers[number], position)
                series.setdefault(entry.series_instance_uid, set()).add(entry.sop_instance_uid)
        wanted = Wanted(delivery.study_instance_uid, patient_id, series)
        try:
            found = await kind.find(destination, wanted, means.settings)
        except NotOffered:
            found = {}
        for uid, said in found.items():
            if uid in places and any(filed.patient_id.strip() == patient_id for filed in said):
                ledger, position = places[uid]
                books.note_kept(ledger, position, None)
    for ledger in ledgers.values():
        if ledger.reserved != "0":
            ledger.reserved = "0"
            await means.kit.documents.save(LEDGERS, ledger)
