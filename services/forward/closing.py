"""How a delivery is put down: for now, proven, failed, or replaced. Each is one save."""

from collections.abc import Iterable
from datetime import timedelta

from kit.documents.port import Documents
from kit.documents.walking import each
from kit.metrics import DELIVERED_INSTANCES
from kit.saying import say
from schemas.envelope import Event
from schemas.forward import ForwardFailed, StudyForwarded
from schemas.shapes import Proof, Said
from services.forward import ledger as books
from services.forward.ledger import LEDGERS, Ledger
from services.forward.means import Means
from services.forward.models import DELIVERIES, Delivery, Note
from services.forward.rules import statuses
from services.forward.rules.states import Happening, advance


async def ledgers_of(documents: Documents, delivery_id: str) -> list[Ledger]:
    """In the order of the delivery's packs."""
    found = [ledger async for ledger in each(documents, LEDGERS, {"delivery_id": delivery_id}, limit=500)]
    return sorted(found, key=lambda ledger: ledger.number)


def take_sums(delivery: Delivery, ledgers: Iterable[Ledger], tries: int) -> books.Sums:
    """Bring the delivery's figures and notes up to date with its ledgers."""
    sums = books.sums(ledgers, tries)
    delivery.total, delivery.stored, delivery.proven = sums.total, sums.stored, sums.proven
    kept = [note for note in delivery.notes if not note.code.startswith("status-")]
    delivery.notes = kept + [
        Note(code=f"status-{status:04x}", text=statuses.words(status).text, count=count)
        for status, count in sorted(sums.warned.items())
    ]
    return sums


def add_note(delivery: Delivery, code: str, text: str) -> None:
    if all(note.code != code for note in delivery.notes):
        delivery.notes = [*delivery.notes, Note(code=code, text=text)]


async def pause(means: Means, delivery: Delivery, seconds: float = 0) -> None:
    """Save, give the lease back, and go on after so long. It got somewhere: its tries start afresh."""
    delivery.due_at = means.kit.clock() + timedelta(seconds=seconds)
    delivery.lease_until = None
    delivery.attempts = 0
    delivery.last_error, delivery.last_said = "", None
    await means.kit.documents.save(DELIVERIES, delivery)


def _end(means: Means, delivery: Delivery, happening: Happening) -> None:
    delivery.state = advance(delivery.state, happening)
    delivery.finished_at = means.kit.clock()
    delivery.due_at = None
    delivery.lease_until = None


async def close_proven(means: Means, delivery: Delivery, proof: Proof) -> None:
    _end(means, delivery, Happening.SHOWN)
    delivery.proof = proof
    delivery.last_error, delivery.last_said = "", None
    event = StudyForwarded.after(
        _cause(delivery),
        time=means.kit.clock(),
        key=delivery.study_id,
        step=_step(delivery),
        study_id=delivery.study_id,
        study_revision=delivery.study_revision,
        decision_id=delivery.decision_id,
        delivery_id=delivery.id,
        destination=delivery.destination,
        sender=delivery.sender,
        submissions=tuple(delivery.submissions),
        instances=delivery.total,
        proof=proof,
    )
    await means.kit.documents.save(DELIVERIES, delivery, emits=[event])
    DELIVERED_INSTANCES.inc(delivery.total)


async def close_failed(means: Means, delivery: Delivery, happening: Happening, reason: Said) -> None:
    """`reason` is a plain sentence for a person."""
    _end(means, delivery, happening)
    delivery.last_error, delivery.last_said = reason.text, reason
    event = ForwardFailed.after(
        _cause(delivery),
        time=means.kit.clock(),
        key=delivery.study_id,
        step=_step(delivery),
        study_id=delivery.study_id,
        study_revision=delivery.study_revision,
        decision_id=delivery.decision_id,
        delivery_id=delivery.id,
        destination=delivery.destination,
        sender=delivery.sender,
        submissions=tuple(delivery.submissions),
        sent=delivery.stored,
        instances=delivery.total,
        reason=reason.text,
        said=reason,
    )
    await means.kit.documents.save(DELIVERIES, delivery, emits=[event])


async def close_replaced(means: Means, delivery: Delivery) -> None:
    """A newer decision stands in its place: nobody has to be told, the newer one is what counts."""
    _end(means, delivery, Happening.REPLACED)
    said = (
        say(
            "replaced-midway",
            "A newer decision replaced this delivery after %(stored)s of %(total)s images.",
            stored=delivery.stored,
            total=delivery.total,
        )
        if delivery.stored
        else say("replaced", "A newer decision replaced this delivery before anything was sent.")
    )
    delivery.last_error, delivery.last_said = said.text, said
    await means.kit.documents.save(DELIVERIES, delivery)


def _cause(delivery: Delivery) -> Event:
    """The decision's event, as far as what follows from it needs it."""
    return Event(
        id=delivery.cause,
        correlation_id=delivery.correlation_id,
        time=delivery.decided_at,
        key=delivery.study_id,
    )


def _step(delivery: Delivery) -> str:
    """One fact for each end of each episode."""
    return f"{delivery.id}.{delivery.episode}"
