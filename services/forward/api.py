"""Deliveries over HTTP: how far they are, another try, and whether a destination answers."""

from collections.abc import Awaitable, Callable
from datetime import datetime

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from kit.access import may_view_id, sees_all
from kit.destinations import DESTINATIONS
from kit.errors import Forbidden, NotFound, PermanentError, Stale, TransientError
from kit.identity import Account, Principal, Role
from kit.saying import say
from kit.service import Caller
from schemas.forward import DeliveryRetried
from schemas.shapes import Proof, Said
from services.forward.means import Means
from services.forward.models import DELIVERIES, NEWEST_DECISIONS, Delivery, Note
from services.forward.prove import begin_proof
from services.forward.rules.states import Happening, State, advance

_SENTENCES = {
    State.QUEUED: "Waiting for its turn.",
    State.SENDING: "Images are being sent.",
    State.PROVING: "All images were sent; their arrival is being proved.",
    State.PROVEN: "All images are in the destination, and this is proved.",
    State.FAILED: "This delivery needs a person.",
    State.CANCELLED: "A newer decision replaced this delivery.",
}


class DeliveryView(BaseModel):
    """`sent` counts what the destination said it has; `error` is a plain sentence or empty."""

    id: str
    study_id: str
    study_revision: int
    decision_id: str
    destination: str
    state: State
    text: str
    total: int
    sent: int
    proven: int
    already_there: int
    proof: Proof | None
    commitment: str
    error: str
    said: Said | None = Field(default=None, description="the error, for readers of any language")
    notes: list[Note]
    created_at: datetime
    next_try_at: datetime | None
    finished_at: datetime | None


class DeliveryList(BaseModel):
    deliveries: list[DeliveryView]
    cursor: str | None = None


class EchoResult(BaseModel):
    ok: bool
    text: str
    said: Said


def view(delivery: Delivery) -> DeliveryView:
    said = delivery.trouble
    if said is not None and delivery.state not in (State.FAILED, State.CANCELLED):
        said = say("tried-again", "Will be tried again: %(because)s", said)
    return DeliveryView(
        id=delivery.id,
        study_id=delivery.study_id,
        study_revision=delivery.study_revision,
        decision_id=delivery.decision_id,
        destination=delivery.destination,
        state=delivery.state,
        text=_SENTENCES[delivery.state],
        total=delivery.total or sum(pack.instances - len(pack.skipped) for pack in delivery.packs),
        sent=delivery.stored,
        proven=delivery.proven,
        already_there=delivery.already,
        proof=delivery.proof,
        commitment=delivery.commitment,
        error=said.text if said is not None else "",
        said=said,
        notes=delivery.notes,
        created_at=delivery.created_at,
        next_try_at=delivery.due_at,
        finished_at=delivery.finished_at,
    )


async def retry(means: Means, delivery_id: str, by: Account) -> Delivery:
    """A failed delivery goes on where it stopped. Raises NotFound, Stale, VersionConflict."""
    documents = means.kit.documents
    delivery = await documents.get(DELIVERIES, delivery_id)
    if delivery is None:
        raise NotFound("no-such-delivery", "There is no delivery with this id.")
    if delivery.state is not State.FAILED:
        raise Stale("not-failed", f"Only a failed delivery can be retried; this one is {delivery.state}.")
    newest = await documents.get(NEWEST_DECISIONS, delivery.study_id)
    if newest is not None and newest.rank > delivery.rank:
        raise Stale(
            "newer-decision", "A newer decision on this study exists. Look at its deliveries instead."
        )
    delivery.state = advance(delivery.state, Happening.RETRIED)
    delivery.episode += 1
    delivery.round = 0
    delivery.attempts = 0
    delivery.last_error, delivery.last_said = "", None
    delivery.notes = []
    delivery.finished_at = None
    delivery.due_at = means.kit.clock()
    begin_proof(delivery)
    retried = DeliveryRetried.first(
        time=means.kit.clock(),
        key=delivery.study_id,
        correlation_id=delivery.correlation_id,
        step=f"{delivery.id}.{delivery.episode}",
        study_id=delivery.study_id,
        delivery_id=delivery.id,
        destination=delivery.destination,
        account_id=by.id,
        account=by.name,
    )
    await documents.save(DELIVERIES, delivery, [retried])
    return delivery


async def echo(means: Means, destination_id: str) -> EchoResult:
    """Raises NotFound. That the destination is not well is an answer, no error."""
    destination = await means.kit.documents.get(DESTINATIONS, destination_id)
    if destination is None:
        raise NotFound("no-such-destination", "There is no destination with this name.")
    try:
        await means.kinds[destination.kind].echo(destination, means.settings)
    except (TransientError, PermanentError) as error:
        form = "The destination is not usable: %(because)s"
        if str(error).endswith("."):
            return _echoed(say("unusable-sentence", form, error.said), ok=False)
        return _echoed(say("unusable", f"{form}.", error.said), ok=False)
    return _echoed(say("answers", "The destination answers."), ok=True)


def _echoed(said: Said, *, ok: bool) -> EchoResult:
    return EchoResult(ok=ok, text=said.text, said=said)


def routes(means: Means, poke: Callable[[str], Awaitable[None]]) -> APIRouter:
    router = APIRouter(prefix="/api", tags=["deliveries"])

    @router.get("/deliveries")
    async def deliveries(
        study_id: str | None = Query(default=None, max_length=64),
        state: State | None = None,
        cursor: str | None = Query(default=None, max_length=500),
        caller: Principal = Caller,
    ) -> DeliveryList:
        """Newest first; of one study, or all. Who does not see every study names one they may see."""
        if not sees_all(caller):
            caller.require(Role.VIEW)
            if study_id is None:
                raise Forbidden("not-allowed", "Name a study: this account does not see all of them.")
            if not await may_view_id(means.kit.documents, caller, study_id):
                raise NotFound("no-study", "There is no such study, or it is not yours to see.")
        where: dict[str, str] = {}
        if study_id is not None:
            where["study_id"] = study_id
        if state is not None:
            where["state"] = state.value
        page = await means.kit.documents.find(
            DELIVERIES, where, order="created_at", descending=True, limit=100, cursor=cursor
        )
        return DeliveryList(deliveries=[view(item) for item in page.items], cursor=page.cursor)

    @router.post("/deliveries/{delivery_id}/retry")
    async def retry_delivery(delivery_id: str, caller: Principal = Caller) -> DeliveryView:
        caller.require(Role.APPROVE)
        delivery = await retry(means, delivery_id, caller.account)
        await poke(delivery.destination)
        return view(delivery)

    @router.post("/destinations/{destination_id}/echo")
    async def echo_destination(destination_id: str, caller: Principal = Caller) -> EchoResult:
        caller.require(Role.ADMIN)
        return await echo(means, destination_id)

    return router
