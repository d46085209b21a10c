"""Destinations that do not answer: noticed by deliveries that wait, told of once, and when it is over."""

from datetime import timedelta

from kit.documents.port import Collection, Doc, In, Instant
from kit.errors import VersionConflict
from schemas.forward import DestinationAway, DestinationBack
from services.forward.means import Means
from services.forward.models import DELIVERIES
from services.forward.rules.states import UNFINISHED

_COUNTED = 10_000


class Silence(Doc):
    """Since when deliveries find a destination away. `id` is the destination's."""

    since: Instant
    told: bool = False


SILENCES = Collection("silences", Silence)


async def found_away(means: Means, destination: str) -> None:
    """A step of a delivery could not be done because the destination is away or busy. Somebody else who
    saves at once saw the same."""
    documents, now = means.kit.documents, means.kit.clock()
    known = await documents.get(SILENCES, destination)
    if known is None:
        await documents.insert_many(SILENCES, [Silence(id=destination, since=now)])
        return
    if known.told or now - known.since < timedelta(seconds=means.settings.away_notice_s):
        return
    known.told = True
    event = DestinationAway.first(
        time=now,
        key=destination,
        correlation_id=f"destination-{destination}",
        step=known.since.isoformat(),
        destination=destination,
        since=known.since,
        waiting=await documents.count(
            DELIVERIES,
            {"destination": destination, "state": In([state.value for state in UNFINISHED])},
            cap=_COUNTED,
        ),
    )
    try:
        await documents.save(SILENCES, known, [event])
    except VersionConflict:
        return


async def found_there(means: Means, destination: str) -> None:
    """A step got through."""
    documents = means.kit.documents
    known = await documents.get(SILENCES, destination)
    if known is None:
        return
    try:
        if known.told:
            known.told = False
            event = DestinationBack.first(
                time=means.kit.clock(),
                key=destination,
                correlation_id=f"destination-{destination}",
                step=known.since.isoformat(),
                destination=destination,
                since=known.since,
            )
            await documents.save(SILENCES, known, [event])
        await documents.delete(SILENCES, known)
    except VersionConflict:
        return
