"""Proving that a destination has what it said it stored: storage commitment where it offers it and
answers in time, else an image-level query. Each call is one bounded step."""

import asyncio
from collections.abc import Iterable, Set
from dataclasses import dataclass
from datetime import timedelta

from kit.destinations import Destination
from kit.dicom.pack import read_index
from kit.saying import say
from schemas.shapes import Proof, Said
from services.forward import ledger as books
from services.forward.closing import add_note, close_failed, close_proven, ledgers_of, pause, take_sums
from services.forward.kinds.port import Kind, NotOffered, Reported, Wanted
from services.forward.ledger import LEDGERS, Ledger
from services.forward.means import Means
from services.forward.models import DELIVERIES, Delivery
from services.forward.reports import keep_report, reports_on
from services.forward.rules import proof
from services.forward.rules.proof import Filed
from services.forward.rules.states import Happening, advance

_OTHER_IDENTITY = "other-identity"
_LOOKS = 3
"""An archive may need a moment until what it stored can be found."""


@dataclass(frozen=True)
class Place:
    """Where an instance not yet proven is in the ledgers, and what a destination is asked about it."""

    ledger: Ledger
    position: int
    sop_class: str
    series: str


def expected_filing(delivery: Delivery) -> Filed:
    """Under what the destination should file the study; empty where it goes on as it came."""
    if delivery.target is None:
        return Filed()
    return Filed(delivery.target.patient_id, delivery.order.accession_number if delivery.order else "")


class _Proving:
    def __init__(
        self,
        means: Means,
        delivery: Delivery,
        destination: Destination,
        kind: Kind,
        ledgers: list[Ledger],
        places: dict[str, Place],
    ) -> None:
        self.means = means
        self.delivery = delivery
        self.destination = destination
        self.kind = kind
        self.ledgers = ledgers
        self.places = places

    async def step(self) -> None:
        if not await self._identity_taken():
            return
        if self.kind.commit is not None and self.destination.commitment and not self.delivery.commitment:
            await self._ask()
        if self.delivery.commitment in ("asked", "late") and not await self._hear():
            return
        if self.places:
            await self._look()
        else:
            await self._shown()

    async def _identity_taken(self) -> bool:
        """Some archives answer success and keep what they had. Where the study was there under another
        identity, only a query shows that the new one is."""
        delivery = self.delivery
        if not delivery.replacing or delivery.identity_checked:
            return True
        try:
            found = await self.kind.find(self.destination, self._wanted(self.places), self.means.settings)
        except NotOffered:
            found = {}
        looked = proof.by_query(self.places.keys(), found, self._identity())
        if looked.elsewhere:
            await self._fail(
                Happening.STILL_MISSING,
                say(
                    "kept-under-earlier-identity",
                    "Destination %(destination)s keeps %(count)s images under the earlier identity. "
                    "Correct or remove them there, then retry.",
                    destination=delivery.destination,
                    count=len(looked.elsewhere),
                ),
            )
            return False
        if looked.twice:
            add_note(
                delivery,
                "earlier-identity-remains",
                "The destination still has the study under its earlier identity too; remove that there",
            )
        if not found:
            add_note(
                delivery,
                "identity-not-checked",
                "The destination had this study under another identity, and can't be asked which it has now",
            )
        delivery.identity_checked = True
        return True

    async def _ask(self) -> None:
        """Storage commitment in requests of bounded size (PS3.4 J.3.2)."""
        delivery, settings = self.delivery, self.means.settings
        references = [(place.sop_class, uid) for uid, place in sorted(self.places.items())]
        chunks = [
            references[start : start + settings.commitment_batch]
            for start in range(0, len(references), settings.commitment_batch)
        ]
        # The time of asking makes it a new transaction each time that nothing was saved before.
        attempt = (delivery.episode, delivery.round, delivery.version)
        transactions = [
            (proof.transaction_uid(delivery.id, *attempt, number), chunk)
            for number, chunk in enumerate(chunks)
        ]

        async def before() -> None:
            delivery.transactions = [uid for uid, _ in transactions]
            delivery.commitment = "asked"
            delivery.commitment_deadline = self.means.kit.clock() + timedelta(
                seconds=self.destination.commitment_timeout_s
            )
            await self.means.kit.documents.save(DELIVERIES, delivery)

        async def keep(report: Reported) -> None:
            if report.transaction_uid in delivery.transactions:
                await keep_report(
                    self.means.kit.documents, report.transaction_uid, report.committed, dict(report.failed)
                )

        assert self.kind.commit is not None
        try:
            await self.kind.commit(self.destination, transactions, settings, before, keep)
        except NotOffered as error:
            delivery.commitment = "refused"
            add_note(delivery, "no-commitment", f"Storage commitment was not possible: {error}")

    async def _hear(self) -> bool:
        """Take the reports in. False: the step ends here, and the delivery was saved."""
        delivery = self.delivery
        if await _waits_for_reports(self.means, delivery):
            return False
        reports = await reports_on(self.means.kit.documents, delivery.transactions)
        answered = all(report is not None for report in reports.values())
        verdict = proof.by_reports(
            self.places.keys(),
            [(report.committed, report.failed) for report in reports.values() if report is not None],
        )
        await self._mark_proven(verdict.proven)
        if verdict.lost:
            await self._missing(verdict.lost)
            return False
        delivery.commitment = "reported" if answered else "late"
        if not answered:
            add_note(delivery, "commitment-late", "The storage commitment report did not come in time")
        return True

    async def _look(self) -> None:
        """Ask for every instance not yet proven by its UID (PS3.4 C.4.1, PS3.18 10.6)."""
        delivery = self.delivery
        try:
            found = await self.kind.find(self.destination, self._wanted(self.places), self.means.settings)
        except NotOffered as error:
            await self._fail(
                Happening.UNPROVABLE,
                say(
                    "no-proof",
                    "Destination %(destination)s said that it stored the images, but gives no proof: "
                    "no storage commitment, and %(because)s. Check there whether they arrived.",
                    error.said,
                    destination=delivery.destination,
                ),
            )
            return
        looked = proof.by_query(self.places.keys(), found, self._identity())
        if looked.elsewhere:
            add_note(
                delivery,
                _OTHER_IDENTITY,
                "The destination files the images under another patient ID or accession number than was sent",
            )
        if looked.present or looked.elsewhere:
            delivery.queried = True
            await self._mark_proven(looked.present | looked.elsewhere)
        if not looked.absent:
            await self._shown()
        elif delivery.looks + 1 < _LOOKS:
            delivery.looks += 1
            take_sums(delivery, self.ledgers, self.means.settings.instance_tries)
            await pause(self.means, delivery, self.means.settings.proof_retry_s)
        else:
            await self._missing(looked.absent)

    async def _missing(self, uids: Iterable[str]) -> None:
        """Send them again, or give up after some rounds."""
        delivery = self.delivery
        count = 0
        touched: dict[str, Ledger] = {}
        for uid in uids:
            place = self.places[uid]
            books.note_missing(place.ledger, 1 << place.position)
            touched[place.ledger.id] = place.ledger
            count += 1
        for ledger in touched.values():
            await self.means.kit.documents.save(LEDGERS, ledger)
        if delivery.round >= self.means.settings.proof_rounds:
            await self._fail(
                Happening.STILL_MISSING,
                say(
                    "images-missing",
                    "%(count)s of %(total)s images are not in destination %(destination)s, "
                    "although it said that it stored them. Check its storage, then retry.",
                    count=count,
                    total=delivery.total,
                    destination=delivery.destination,
                ),
            )
            return
        await send_again(self.means, delivery, self.ledgers)

    async def _shown(self) -> None:
        take_sums(self.delivery, self.ledgers, self.means.settings.instance_tries)
        await close_proven(
            self.means,
            self.delivery,
            Proof(
                kind="image-query" if self.delivery.queried else "storage-commitment",
                time=self.means.kit.clock(),
                instances=self.delivery.proven,
                other_identity=any(note.code == _OTHER_IDENTITY for note in self.delivery.notes),
            ),
        )

    async def _fail(self, happening: Happening, reason: Said) -> None:
        take_sums(self.delivery, self.ledgers, self.means.settings.instance_tries)
        await close_failed(self.means, self.delivery, happening, reason)

    async def _mark_proven(self, uids: Set[str]) -> None:
        touched: dict[str, Ledger] = {}
        for uid in uids:
            place = self.places.pop(uid)
            place.ledger.proven = books.add(place.ledger.proven, 1 << place.position)
            touched[place.ledger.id] = place.ledger
        for ledger in touched.values():
            await self.means.kit.documents.save(LEDGERS, ledger)

    def _identity(self) -> Filed:
        return expected_filing(self.delivery)

    def _wanted(self, places: dict[str, Place]) -> Wanted:
        series: dict[str, set[str]] = {}
        for uid, place in places.items():
            series.setdefault(place.series, set()).add(uid)
        patient_id = self._identity().patient_id or self.delivery.stored_patient_id
        return Wanted(self.delivery.study_instance_uid, patient_id, series)


async def send_again(means: Means, delivery: Delivery, ledgers: list[Ledger]) -> None:
    """Proving → sending: some images are not there."""
    delivery.state = advance(delivery.state, Happening.MISSING)
    delivery.round += 1
    begin_proof(delivery)
    take_sums(delivery, ledgers, means.settings.instance_tries)
    await pause(means, delivery)


def begin_proof(delivery: Delivery) -> None:
    """Forget what was asked before."""
    delivery.commitment = ""
    delivery.commitment_deadline = None
    delivery.transactions = []
    delivery.looks = 0
    delivery.identity_checked = False


async def _waits_for_reports(means: Means, delivery: Delivery) -> bool:
    """True when reports are still to come and may come; the delivery was saved then."""
    deadline = delivery.commitment_deadline or means.kit.clock()
    left = (deadline - means.kit.clock()).total_seconds()
    if left <= 0:
        return False
    reports = await reports_on(means.kit.documents, delivery.transactions)
    if all(report is not None for report in reports.values()):
        return False
    await pause(means, delivery, min(means.settings.commitment_poll_s, left))
    return True


async def prove(means: Means, delivery: Delivery) -> None:
    """One step of proving; ends in one save of the delivery."""
    if delivery.commitment == "asked" and await _waits_for_reports(means, delivery):
        return
    destination, kind = await means.destination(delivery.destination)
    ledgers = await ledgers_of(means.kit.documents, delivery.id)
    if any(books.to_send(ledger, means.settings.instance_tries) for ledger in ledgers):
        # A crash between the two saves of _missing.
        await send_again(means, delivery, ledgers)
        return
    places = await _places(means, delivery, ledgers)
    await _Proving(means, delivery, destination, kind, ledgers, places).step()


async def _places(means: Means, delivery: Delivery, ledgers: list[Ledger]) -> dict[str, Place]:
    places: dict[str, Place] = {}
    for ledger in ledgers:
        bits = books.to_prove(ledger)
        if not bits:
            continue
        pack = delivery.packs[ledger.number]
        index = await asyncio.to_thread(read_index, means.kit.objects, pack.index_key)
        for position in books.positions(bits):
            entry = index.entries[position]
            places[entry.sop_instance_uid] = Place(
                ledger, position, entry.sop_class_uid, entry.series_instance_uid
            )
    return places
