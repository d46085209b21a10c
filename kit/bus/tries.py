"""How often a handler is called for one event before the event is given up."""

import asyncio
import logging
from collections.abc import Callable

from kit import acts
from kit.bus.port import Handler
from kit.bus.reasons import stored
from kit.errors import NoSpace, PermanentError, Refused, StoreAway, TransientError, VersionConflict
from kit.saying import REFUSAL, say
from schemas.envelope import Event
from schemas.shapes import Said

_log = logging.getLogger(__name__)

CONFLICT_TRIES = 50
DEFECT_TRIES = 3
TRANSIENT_TRIES = 30
FULL_S = 5.0
_DELAYS = (0.1, 0.3, 1, 2, 5)


async def handle(
    handler: Handler[Event], event: Event, group: str, stopping: Callable[[], bool]
) -> tuple[str | None, int]:
    """None when handled, else the reason it must be buried, as kit.bus.reasons stores it; and the tries it
    took.

    While a store is away or full it is tried without limit: nothing else can go on either, and then it does
    by itself. A dead letter for every event of an outage would only be work.
    While `stopping()` nothing is tried again: the reason then only says why it was not handled.
    """
    act = acts.Act(
        "event", group.partition("-")[0], event.topic, correlation_id=event.correlation_id, cause=event.id
    )
    act.details["group"] = group
    with act:
        reason, tries = await _try(handler, event, group, stopping)
        if tries > 1:
            act.details["tries"] = tries
        if reason is not None:
            act.outcome = "failed"
            if not stopping():
                _log.error("%s gives up %s %s: %s", group, event.topic, event.id, reason)
    return stored(reason) if reason is not None else None, tries


async def _try(
    handler: Handler[Event], event: Event, group: str, stopping: Callable[[], bool]
) -> tuple[Said | None, int]:
    tries = conflicts = waits = 0
    while True:
        tries += 1
        try:
            await handler(event)
            return None, tries
        except VersionConflict as error:
            conflicts += 1
            if conflicts >= CONFLICT_TRIES:
                form = "changed by others again and again (%(detail)s)"
                return say("letter-conflict", form, detail=str(error)), tries
            await asyncio.sleep(0.002 * conflicts)
            continue
        except (NoSpace, StoreAway) as error:
            if stopping():
                return error.said, tries
            waits += 1
            full = isinstance(error, NoSpace)
            _log.warning("%s of %s waits: %s", group, event.topic, "the storage is full" if full else error)
            await asyncio.sleep(FULL_S if full else _DELAYS[min(waits, len(_DELAYS)) - 1])
            tries -= 1
            continue
        except TransientError as error:
            reason, limit = error.said, TRANSIENT_TRIES
        except Refused as error:
            return Said(code=f"{REFUSAL}{error.code}", text=error.text), tries
        except PermanentError as error:
            return error.said, tries
        except Exception as error:  # noqa: BLE001 - the edge: a poison event must not end the feed
            _log.exception("%s could not handle %s %s", group, event.topic, event.id)
            kind = type(error).__name__
            reason, limit = say("letter-defect", "internal error (%(kind)s)", kind=kind), DEFECT_TRIES
        if tries - conflicts >= limit or stopping():
            return reason, tries
        await asyncio.sleep(_DELAYS[min(tries - conflicts, len(_DELAYS)) - 1])
