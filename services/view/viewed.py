"""Who looked at what: once a person, study and session, as a document and an event."""

from contextlib import suppress
from datetime import datetime

from kit.documents.port import Collection, Doc, Instant
from kit.errors import VersionConflict
from kit.ids import derived_id
from kit.service import Kit
from schemas.view import StudyViewed
from services.view.models import ViewStudy
from services.view.scopes import Scope

_REMEMBERED = 20_000


class View(Doc):
    """`id` derives from the person, the study and the session."""

    study_id: str
    account_id: str
    account: str
    kind: str
    grant_id: str = ""
    time: Instant


VIEWS = Collection("study-views", View, fields=("study_id", "account_id", "time"))


class Views:
    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._known: set[str] = set()

    async def note(self, scope: Scope, study: ViewStudy) -> None:
        """Called before images or headers go out, so that nobody looks unrecorded."""
        who, now = scope.who, self._kit.clock()
        view_id = derived_id("view", who.account.id, study.id, _session(scope, now))
        if view_id in self._known:
            return
        view = View(
            id=view_id,
            study_id=study.id,
            account_id=who.account.id,
            account=who.account.name,
            kind=who.kind,
            grant_id=who.grant.id if who.grant is not None else "",
            time=now,
        )
        event = StudyViewed.first(
            time=now,
            key=study.id,
            correlation_id=view_id,
            step=view_id,
            study_id=study.id,
            account_id=view.account_id,
            account=view.account,
            kind=who.kind,
            grant_id=view.grant_id,
        )
        with suppress(VersionConflict):
            await self._kit.documents.save(VIEWS, view, [event])
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        self._known.add(view_id)


def _session(scope: Scope, now: datetime) -> str:
    """A token has no session: a day stands for one."""
    session = scope.who.session
    return session.id if session is not None else now.date().isoformat()
