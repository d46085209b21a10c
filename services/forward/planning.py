"""The first step of a delivery: what is to be sent, and what earlier deliveries have settled already."""

from kit.documents.port import Documents, In
from kit.documents.walking import each
from kit.errors import VersionConflict
from kit.ids import derived_id
from schemas.shapes import PackRef
from services.forward import ledger as books
from services.forward.closing import close_replaced, ledgers_of, pause, take_sums
from services.forward.ledger import LEDGERS, Ledger
from services.forward.means import Means
from services.forward.models import DELIVERIES, Delivery
from services.forward.rules import precedence
from services.forward.rules.states import Happening, advance

_WAIT_FOR_OTHERS_S = 1.0


def ledger_id(delivery_id: str, pack_id: str) -> str:
    return derived_id("delivery-ledger", delivery_id, pack_id)


def new_ledger(delivery_id: str, number: int, pack: PackRef) -> Ledger:
    return Ledger(
        id=ledger_id(delivery_id, pack.id),
        delivery_id=delivery_id,
        pack_id=pack.id,
        number=number,
        wanted=books.text(books.wanted_of(pack)),
    )


async def plan(means: Means, delivery: Delivery) -> None:
    """Queued → sending, with a ledger for each pack. Waits while an older delivery to the same
    place is still at work."""
    documents = means.kit.documents
    others = await _others(documents, delivery)
    if not await _clear_the_way(means, delivery, others):
        await pause(means, delivery, _WAIT_FOR_OTHERS_S)
        return
    made = {pack.id: new_ledger(delivery.id, number, pack) for number, pack in enumerate(delivery.packs)}
    earlier = precedence.inherits_from(delivery, others)
    await _take_over(documents, made, earlier)
    delivery.queried = delivery.queried or any(other.queried for other in others if other.id in earlier)
    await documents.insert_many(LEDGERS, list(made.values()))
    ledgers = await ledgers_of(documents, delivery.id)
    for ledger in ledgers:
        if books.begin_episode(ledger, delivery.episode):
            await documents.save(LEDGERS, ledger)
    sums = take_sums(delivery, ledgers, means.settings.instance_tries)
    if not delivery.may_have_sent:
        delivery.already = sums.stored
    delivery.replacing = precedence.is_replacing(delivery, others)
    delivery.may_have_sent = True
    delivery.state = advance(delivery.state, Happening.PLANNED)
    await pause(means, delivery)


async def _others(documents: Documents, delivery: Delivery) -> list[Delivery]:
    of_the_study = each(documents, DELIVERIES, {"study_id": delivery.study_id}, limit=100)
    return [other async for other in of_the_study if other.id != delivery.id]


async def _clear_the_way(means: Means, delivery: Delivery, others: list[Delivery]) -> bool:
    """Cancel older deliveries to the same place that nobody works on. False: one is at work still;
    it sees the newer decision within a second and stops."""
    now = means.kit.clock()
    clear = True
    for other_id in precedence.in_the_way(delivery, others):
        other = next(other for other in others if other.id == other_id)
        held = other.lease_until is not None and other.lease_until > now
        foreign = means.kit.exclusive and other.lease_owner != means.kit.owner
        if held and not foreign:
            clear = False
            continue
        try:
            await close_replaced(means, other)
        except VersionConflict:
            clear = False
    return clear


async def _take_over(documents: Documents, made: dict[str, Ledger], earlier: list[str]) -> None:
    if not earlier:
        return
    async for known in each(documents, LEDGERS, {"delivery_id": In(earlier)}, limit=500):
        if known.pack_id in made:
            books.inherit(made[known.pack_id], known)
