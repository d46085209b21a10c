"""Decisions made on a page wait a few seconds before they are made, so that they can be undone.

What is held is durable: a restart makes it then. The view it was made on is checked twice, at once and
when it is made; what changed in between leaves the study undecided, and its page says why. Nothing has
gone anywhere before, so undoing needs nobody's help.
"""

from dataclasses import dataclass
from datetime import timedelta

from kit import acts
from kit.errors import Forbidden, NotFound, Refused, Stale, VersionConflict
from kit.identity import Principal, Role
from kit.service import Kit
from kit.tasks import TaskRunner
from schemas.shapes import DecidedBy
from services.portal.decisions import decide_by_person, visible_case
from services.portal.handlers import destination_names
from services.portal.live import Live
from services.portal.models import HELD, Held
from services.portal.rules.decide import Request, decide
from services.portal.settings import PortalSettings


@dataclass(frozen=True)
class Holding:
    kit: Kit
    settings: PortalSettings
    live: Live
    runner: TaskRunner[Held]

    async def hold(self, who: Principal, study_id: str, request: Request) -> Held | None:
        """Hold the decision; None when it only repeats the last one. Raises what making it would raise,
        and Stale while another one is held."""
        who.require(Role.APPROVE)
        kit = self.kit
        case, study = await visible_case(kit.documents, who, study_id)
        acts.follow(case.correlation_id)
        account = await kit.identity.account(study.sender.id)
        decision = decide(
            case,
            study,
            request,
            by=DecidedBy(kind="person", id=who.account.id, name=who.account.name),
            now=kit.clock(),
            preferred=(await kit.identity.effective(account)).destinations if account is not None else [],
            known=await destination_names(kit),
        )
        if decision is None:
            return None
        known = await kit.documents.get(HELD, study_id)
        if known is not None and known.due_at is not None:
            raise Stale("held", "Somebody decided this a moment ago. Look at the study again.")
        now = kit.clock()
        held = Held(
            id=study_id,
            account_id=who.account.id,
            account=who.account.name,
            request=request.model_dump_json(),
            action=request.action,
            made_at=now,
            due_at=now + timedelta(seconds=self.settings.undo_seconds),
        )
        held.version = known.version if known is not None else 0
        try:
            await kit.documents.save(HELD, held)
        except VersionConflict:
            raise Stale("held", "Somebody decided this a moment ago. Look at the study again.") from None
        self.live.changed(study_id)
        self.runner.poke()
        return held

    async def undo(self, who: Principal, study_id: str) -> None:
        """Raises Stale when it is too late."""
        who.require(Role.APPROVE)
        held = await self.kit.documents.get(HELD, study_id)
        if held is None or held.due_at is None or held.lease_owner:
            raise Stale("too-late", "This was carried out already. It can’t be undone here any more.")
        try:
            await self.kit.documents.delete(HELD, held)
        except VersionConflict:
            raise Stale(
                "too-late", "This was carried out already. It can’t be undone here any more."
            ) from None
        self.live.changed(study_id)


def holding(kit: Kit, settings: PortalSettings, live: Live) -> Holding:
    async def work(held: Held) -> None:
        account = await kit.identity.account(held.account_id)
        try:
            if account is None or account.disabled:
                raise Forbidden("not-allowed", "Whoever decided this may not do so any more.")
            who = Principal(await kit.identity.effective(account))
            who.require(Role.APPROVE)
            await decide_by_person(kit, who, held.id, Request.model_validate_json(held.request))
        except NotFound:
            await kit.documents.delete(HELD, held)
        except Refused as refused:
            await give_up(held, refused.text)
        else:
            await kit.documents.delete(HELD, held)
        live.changed(held.id)

    async def give_up(held: Held, reason: str) -> None:
        held.due_at, held.lease_until, held.lease_owner, held.error = None, None, "", reason
        await kit.documents.save(HELD, held)

    runner = TaskRunner(
        kit.documents,
        HELD,
        work=work,
        give_up=give_up,
        clock=kit.clock,
        owner=kit.owner,
        exclusive=kit.exclusive,
    )
    return Holding(kit, settings, live, runner)
