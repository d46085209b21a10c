"""The one kind of task of forward: a step of a delivery."""

from kit.errors import NoSpace, NotFound, PermanentError, StoreAway, TransientError
from kit.saying import as_said, say
from services.forward.closing import close_failed, close_replaced
from services.forward.means import Means
from services.forward.models import NEWEST_DECISIONS, Delivery
from services.forward.planning import plan
from services.forward.progress import Replaced
from services.forward.prove import prove
from services.forward.rules.precedence import is_replaced
from services.forward.rules.states import Happening, State
from services.forward.send import send
from services.forward.silence import found_away, found_there


async def deliver(means: Means, delivery: Delivery) -> None:
    """Plan, send or prove; the delivery says which. Ends in one save that moves or clears due_at."""
    newest = await means.kit.documents.get(NEWEST_DECISIONS, delivery.study_id)
    if is_replaced(delivery, newest):
        await close_replaced(means, delivery)
        return
    try:
        if delivery.state is State.QUEUED:
            await plan(means, delivery)
        else:
            await (send if delivery.state is State.SENDING else prove)(means, delivery)
            await found_there(means, delivery.destination)
    except (StoreAway, NoSpace):
        raise
    except TransientError:
        await found_away(means, delivery.destination)
        raise
    except Replaced:
        await close_replaced(means, delivery)
    except NotFound:
        raise PermanentError(
            say("images-gone", "The images of this study are no longer stored here.")
        ) from None


async def give_up(means: Means, delivery: Delivery, reason: str) -> None:
    """The runner has no tries left, or trying again can't help."""
    said = delivery.trouble or as_said(reason)
    if not reason.endswith("."):
        form = "Sending to %(destination)s was given up: %(because)s. Put that right, then retry."
        said = say("given-up", form, said, destination=delivery.destination)
    await close_failed(means, delivery, Happening.GIVEN_UP, said)
