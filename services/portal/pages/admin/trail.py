"""The audit trail: search, and all that was found as a table for other programs."""

import csv
import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime, time, timedelta
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse

from kit.documents.port import In, Range, Scalar, instant_text
from kit.errors import Refused
from kit.identity import Principal
from kit.service import Kit
from services.portal import trail
from services.portal.accounts import record
from services.portal.models import AUDIT, AuditEntry
from services.portal.pages.admin.desk import Administrator, show
from services.portal.pages.forms import read_form, text
from services.portal.pages.frame import render, see_other
from services.portal.people.finding import find_accounts
from services.portal.rules.chain import BEGUN, Head
from services.portal.rules.search import words

ACTIONS = {
    "saw": "opened a study",
    "approve": "approved a study",
    "decline": "declined a study",
    "ask-sender": "asked the sender",
    "signed-in": "signed in",
    "signed-out": "signed out",
    "signed-out-everywhere": "signed out everywhere",
    "sign-in-failed": "failed to sign in",
    "second-factor-failed": "gave a wrong code",
    "recovery-code-used": "used a recovery code",
    BEGUN: "began the chain of entries",
    "locked": "was locked out",
    "sign-in-locked": "tried while locked out",
    "password-changed": "changed the password",
    "second-factor-on": "turned the second factor on",
    "second-factor-off": "turned the second factor off",
    "recovery-codes-made": "made recovery codes",
    "profile-changed": "changed the profile",
    "token-made": "made a token",
    "token-revoked": "revoked a token",
    "invited": "invited",
    "unlocked": "unlocked",
    "made": "made",
    "changed": "changed",
    "removed": "removed",
    "revoked": "took back",
    "approved": "approved a request",
    "declined": "declined a request",
    "replayed": "delivered again",
    "retried": "tried a delivery again",
    "exported": "exported the audit trail",
    "retention-changed": "changed how long images are kept",
    "kept": "keeps a study",
    "released": "left a study to the policy",
    "expired": "let images go",
    "images-removed": "removed images",
    "files-expired": "let files go",
    "files-removed": "removed files",
    "files-kept": "keeps files of a submission",
    "files-released": "left files of a submission to the policy",
    "share": "shared a study",
    "unshare": "ended a share",
    "viewed": "looked at images",
    "asked-for-images": "asked somebody for images",
    "opened-link": "opened a link",
    "wrong-pin": "gave a wrong PIN",
    "revoked-link": "took a link back",
    "downloaded": "downloaded a study",
}
_PAGE = 100
_PART = 20_000
_MOST_PEOPLE = 50
_LONGEST = _MOST_PEOPLE * 65
_NO_PEOPLE = ("policy:", "link-", "share-")
_NOBODY = "nobody"
"""The id of no account."""
Where = dict[str, Scalar | Range | In]


def add(router: APIRouter, kit: Kit) -> None:
    @router.get("/audit")
    async def audit(
        request: Request,
        person: str = Query(default="", max_length=_LONGEST, description="ids of accounts, by commas"),
        about: str = Query(default="", max_length=64),
        action: str = Query(default="", max_length=40),
        since: str = Query(default="", max_length=10),
        until: str = Query(default="", max_length=10),
        cursor: str | None = Query(default=None, max_length=500),
        who: Principal = Administrator,
    ) -> Response:
        asked = {"person": person, "about": about.strip(), "action": action, "since": since, "until": until}
        where = await _where(kit, **asked)
        page = await kit.documents.find(
            AUDIT, where, order="time", descending=True, limit=_PAGE, cursor=cursor
        )
        about_accounts = {entry.object_id for entry in page.items if entry.kind == "account"}
        meant = _ids(person)
        known = [await kit.identity.account(account) for account in sorted({*about_accounts, *meant})]
        names = {account.id: account.name for account in known if account is not None}
        asked = {name: value for name, value in asked.items() if value}
        template = "audit-rows" if request.headers.get("hx-request") else "audit"
        return await show(
            request,
            who,
            template,
            entries=page.items,
            cursor=page.cursor,
            asked=asked,
            actions=ACTIONS,
            names=names,
            meant=", ".join(names.get(one, one) for one in meant if one != _NOBODY),
        )

    @router.post("/audit")
    async def search(request: Request, who: Principal = Administrator) -> Response:
        """Leads on to what was asked for, with the ids of accounts in the place of a name."""
        form = await read_form(request)
        asked = {name: text(form, name, 64) for name in ("about", "action", "since", "until")}
        typed, meant = text(form, "person", 4000), text(form, "meant", 4000)
        if typed:
            known = text(form, "accounts", _LONGEST) if typed == meant else ""
            asked["person"] = known or await _meant(kit, typed[:100])
        query = urlencode({name: value for name, value in asked.items() if value})
        return see_other(request, f"/admin/audit?{query}" if query else "/admin/audit")

    @router.post("/audit/check")
    async def check(request: Request, who: Principal = Administrator) -> Response:
        """Whether the trail holds, as a part of the page. A long one in parts: the answer to each asks for
        the next."""
        form = await read_form(request)
        seq, mark = text(form, "after", 12), text(form, "hash", 64)
        after = Head(int(seq), mark) if seq.isdecimal() and mark else Head()
        found = await trail.verify(kit, after, _PART)
        return await render(request, "admin/audit-checked.html", who=who, found=found)

    @router.get("/audit.csv")
    async def export(
        person: str = Query(default="", max_length=_LONGEST),
        about: str = Query(default="", max_length=64),
        action: str = Query(default="", max_length=40),
        since: str = Query(default="", max_length=10),
        until: str = Query(default="", max_length=10),
        who: Principal = Administrator,
    ) -> Response:
        """Streamed, however long it is; that it was taken along is itself recorded."""
        where = await _where(kit, person=person, about=about.strip(), action=action, since=since, until=until)
        await record(kit, who, "exported", "audit", "")
        name = f"audit-{kit.clock():%Y-%m-%d}.csv"
        headers = {"content-disposition": f'attachment; filename="{name}"'}
        return StreamingResponse(_csv(kit, where), media_type="text/csv; charset=utf-8", headers=headers)


async def _meant(kit: Kit, person: str) -> str:
    """The ids of accounts that go by these words, or of whom the id itself is typed."""
    if words(person) and (found := await find_accounts(kit, person, [], limit=_MOST_PEOPLE)).items:
        return ",".join(account.id for account in found.items)
    is_id = person.startswith(_NO_PEOPLE) or await kit.identity.account(person[:64]) is not None
    return person if is_id else _NOBODY


def _ids(person: str) -> list[str]:
    return [one.strip()[:64] for one in person.split(",") if one.strip()][:_MOST_PEOPLE]


async def _where(kit: Kit, *, person: str, about: str, action: str, since: str, until: str) -> Where:
    """Raises Refused for a day that is none."""
    where: Where = {}
    if person:
        where["account_id"] = In(_ids(person))
    if about:
        where["object_id"] = about
    if action in ACTIONS:
        where["action"] = action
    if since or until:
        end = _midnight(kit, until)
        where["time"] = Range(_midnight(kit, since), end + timedelta(days=1) if end is not None else None)
    return where


def _midnight(kit: Kit, text: str) -> datetime | None:
    if not text:
        return None
    try:
        day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).date()
    except ValueError:
        raise Refused("bad-day", "Write a day as year-month-day, such as 2026-03-02.") from None
    return datetime.combine(day, time(), ZoneInfo(kit.site.zone))


async def _csv(kit: Kit, where: Where) -> AsyncIterator[bytes]:
    yield _line(["time", "account_id", "account", "action", "kind", "object_id", "detail", "number", "hash"])
    cursor: str | None = None
    while True:
        page = await kit.documents.find(
            AUDIT, where, order="time", descending=True, limit=1000, cursor=cursor
        )
        for entry in page.items:
            yield _line(_cells(entry))
        cursor = page.cursor
        if cursor is None:
            return


def _cells(entry: AuditEntry) -> list[str]:
    texts = [entry.account_id, entry.account, entry.action, entry.kind, entry.object_id, entry.detail]
    number = str(entry.seq) if entry.seq is not None else ""
    return [instant_text(entry.time), *(_harmless(text) for text in texts), number, entry.hash]


def _harmless(text: str) -> str:
    """A spreadsheet must not take a name for a formula."""
    return f"'{text}" if text[:1] in {"=", "+", "-", "@", "\t", "\r"} else text


def _line(cells: list[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerow(cells)
    return text.getvalue().encode()
