"""The page that follows a submission hears of it as it happens, also without an account."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from itertools import count
from typing import Any

import httpx
import pytest

from kit.identity import ACCOUNTS, TOKENS, Account, Role, Token, token_id
from kit.service import Kit
from kit.sessions import COOKIE, GRANTS, SESSIONS, Grant, Session
from kit.web import build_app
from schemas.portal import StudyExpired
from schemas.shapes import Sender, Tally
from schemas.upload import SubmissionClosed, SubmissionOpened
from schemas.validate import StudyArrived, SubmissionValidated
from services.portal import app as portal_app
from services.portal.app import build
from services.portal.live import Live
from services.portal.pages import following as following_pages
from services.portal.settings import PortalSettings
from tests.conftest import settle
from tests.unit.portal.samples import NOW, study

GUEST = Sender(id=f"guest-{token_id('link')[:24]}", name="Dr. Petrov", origin="guest", door="portal")


class Stream:
    """A server-sent stream, read event by event."""

    def __init__(self, app: Any, path: str, cookie: str = "", *, token: str = "") -> None:
        self._app, self._path = app, path
        self._proof = (b"authorization", f"Bearer {token}".encode())
        if cookie:
            self._proof = (b"cookie", f"{COOKIE}={cookie}".encode())
        self._lines: asyncio.Queue[str] = asyncio.Queue()
        self.status: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def __aenter__(self) -> "Stream":
        self._task = asyncio.create_task(self._run())
        await self.status
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET",
            "scheme": "http", "path": self._path,
            "raw_path": self._path.encode(), "query_string": b"", "root_path": "",
            "headers": [(b"host", b"here"), self._proof],
            "client": ("10.0.0.7", 1), "server": ("here", 80),
        }  # fmt: skip

        async def receive() -> dict[str, Any]:
            await asyncio.Event().wait()
            raise AssertionError

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                self.status.set_result(message["status"])
            else:
                self._lines.put_nowait(message["body"].decode())

        await self._app(scope, receive, send)

    @property
    def ended(self) -> bool:
        return self._task.done()

    async def beats(self) -> None:
        async with asyncio.timeout(20):
            while "event: beat" not in await self._lines.get():
                pass

    async def changed(self) -> str:
        """The id in the next `changed`."""
        async with asyncio.timeout(20):
            while True:
                block = await self._lines.get()
                if "event: changed" in block:
                    return block.split("data: ")[1].strip()


@pytest.fixture
async def app(kit_env: Kit) -> Any:
    service = build(kit_env, PortalSettings())
    await kit_env.bus.start()
    return build_app(kit_env, [service])


async def account(kit: Kit, name: str, *roles: Role) -> str:
    secret, now = f"session-secret-of-{name}-0123456789", kit.clock()
    await kit.documents.save(ACCOUNTS, Account(id=name, name=name, roles=list(roles)))
    session = Session(
        id=token_id(secret), account_id=name, created_at=now, seen_at=now,
        expires_at=now + timedelta(hours=1),
    )  # fmt: skip
    await kit.documents.save(SESSIONS, session)
    return secret


async def guest(kit: Kit) -> str:
    secret, now = "session-of-the-guest-0123456789", kit.clock()
    grant = Grant(
        id=token_id("link"), kind="upload-link", label="Dr. Petrov", made_by="clerk", created_at=now,
        expires_at=now + timedelta(days=1),
    )  # fmt: skip
    await kit.documents.save(GRANTS, grant)
    session = Session(
        id=token_id(secret), kind="upload-link", grant_id=grant.id, created_at=now, seen_at=now,
        expires_at=now + timedelta(hours=1),
    )  # fmt: skip
    await kit.documents.save(SESSIONS, session)
    return secret


async def opened(kit: Kit, submission: str, sender: Sender) -> None:
    event = SubmissionOpened.first(
        time=NOW, key=submission, correlation_id=submission, submission_id=submission, sender=sender
    )
    await kit.bus.publish([event])
    await settle(kit)


def arrival(study_id: str, submission: str, sender: Sender) -> StudyArrived:
    return StudyArrived.first(
        time=NOW, key=study_id, correlation_id=submission,
        study=study(id=study_id, submissions=(submission,), sender=sender),
    )  # fmt: skip


@asynccontextmanager
async def following(app: Any, secret: str, submission: str) -> AsyncIterator[Stream]:
    async with Stream(app, f"/s/{submission}/live", secret) as stream:
        assert stream.status.result() == 200
        yield stream


async def test_a_sender_without_an_account_hears_of_own_submission_alone(app: Any, kit_env: Kit):
    secret = await guest(kit_env)
    sender = GUEST.model_copy(update={"id": (await kit_env.identity.by_session(secret)).account.id})  # type: ignore[union-attr]
    await opened(kit_env, "sub1", sender)
    other = sender.model_copy(update={"id": "clinic"})
    async with following(app, secret, "sub1") as stream:
        await kit_env.bus.publish([arrival("s2", "sub2", other), arrival("s1", "sub1", sender)])
        await settle(kit_env)
        assert await stream.changed() == "s1"
        closed = SubmissionClosed.first(
            time=NOW, key="sub1", correlation_id="sub1", submission_id="sub1", sender=sender, files=1,
            batches=1,
        )  # fmt: skip
        validated = SubmissionValidated.first(
            time=NOW, key="sub1", correlation_id="sub1", submission_id="sub1", revision=1, sender=sender,
            tally=Tally(sent=1, stored=1), studies=("s1",),
        )  # fmt: skip
        await kit_env.bus.publish([closed, validated])
        await settle(kit_env)
        heard = [await stream.changed()]
        while heard[-1] != "sub1":
            heard.append(await stream.changed())
        assert set(heard) <= {"s1", "sub1"}


async def test_a_study_is_told_of_once_its_audience_is_known(app: Any, kit_env: Kit):
    """Whoever is told can look: the list of the studies of the submission holds it by then."""
    secret = await account(kit_env, "clinic", Role.SEND)
    sender = Sender(id="clinic", name="Clinic", origin="clinic")
    await opened(kit_env, "sub1", sender)
    transport = httpx.ASGITransport(app=app)
    async with (
        httpx.AsyncClient(transport=transport, base_url="http://here", cookies={COOKIE: secret}) as client,
        following(app, secret, "sub1") as stream,
    ):
        for number in range(5):
            await kit_env.bus.publish([arrival(f"s{number}", "sub1", sender)])
            assert await stream.changed() == f"s{number}"
            while True:
                shown = {one["id"] for one in (await client.get("/s/sub1/studies")).json()}
                if f"s{number}" in shown:
                    break
                assert await stream.changed() == f"s{number}", "told again when both are known"
            await settle(kit_env)
            while not stream._lines.empty():
                stream._lines.get_nowait()


async def busy_until_it_ends(kit: Kit, stream: Stream) -> None:
    """News of the whole hospital, without a pause."""
    other = Sender(id="x", name="X", origin="x")
    async with asyncio.timeout(30):
        for number in count():
            if stream.ended:
                return
            await kit.bus.publish([arrival(f"f{number}", "subx", other)])
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("path", ["/live", "/s/sub1/live"])
async def test_who_signed_out_hears_no_more_however_busy_it_is(
    app: Any, kit_env: Kit, monkeypatch: pytest.MonkeyPatch, path: str
):
    monkeypatch.setattr(following_pages, "_BEAT", 1.0)
    secret = await account(kit_env, "clerk", Role.VIEW_ALL)
    await opened(kit_env, "sub1", Sender(id="clinic", name="Clinic", origin="clinic"))
    async with Stream(app, path, secret) as stream:
        session = await kit_env.documents.get(SESSIONS, token_id(secret))
        assert session is not None
        await kit_env.documents.delete(SESSIONS, session)
        kit_env.identity.forget()
        await busy_until_it_ends(kit_env, stream)


async def test_a_revoked_token_hears_no_more(app: Any, kit_env: Kit, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(following_pages, "_BEAT", 1.0)
    await account(kit_env, "clerk", Role.VIEW_ALL)
    token = Token(id=token_id("secret-token"), account_id="clerk", created_at=kit_env.clock())
    await kit_env.documents.save(TOKENS, token)
    async with Stream(app, "/live", token="secret-token") as stream:
        assert stream.status.result() == 200
        await kit_env.documents.delete(TOKENS, token)
        kit_env.identity.forget()
        await busy_until_it_ends(kit_env, stream)


async def test_a_right_that_was_taken_away_counts_from_the_next_beat_on(
    app: Any, kit_env: Kit, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(following_pages, "_BEAT", 0.2)
    secret = await account(kit_env, "clerk", Role.VIEW_ALL)
    me, other = (Sender(id=name, name=name, origin=name) for name in ("clerk", "other"))
    async with Stream(app, "/live", secret) as stream:
        clerk = await kit_env.documents.get(ACCOUNTS, "clerk")
        assert clerk is not None
        clerk.roles = [Role.SEND]
        await kit_env.documents.save(ACCOUNTS, clerk)
        kit_env.identity.forget()
        await stream.beats()
        await stream.beats()
        await kit_env.bus.publish([arrival("theirs", "subx", other)])
        await settle(kit_env)
        await kit_env.bus.publish([arrival("mine", "sub1", me)])
        assert await stream.changed() == "mine"


async def test_an_account_has_only_so_many_pages_open(kit_env: Kit, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(portal_app, "Live", partial(Live, most_each=1))
    app = build_app(kit_env, [build(kit_env, PortalSettings())])
    secret, other = await account(kit_env, "clerk", Role.VIEW_ALL), await account(kit_env, "b", Role.SEND)
    async with Stream(app, "/live", secret) as stream:
        await stream.beats()
        async with Stream(app, "/live", secret) as second, Stream(app, "/live", other) as third:
            assert (second.status.result(), third.status.result()) == (429, 200)
    async with Stream(app, "/live", secret) as again:
        assert again.status.result() == 200, "what was closed counts no more"


async def test_a_page_hears_that_the_images_of_its_study_are_about_to_go(app: Any, kit_env: Kit):
    secret = await account(kit_env, "clerk", Role.APPROVE)
    await kit_env.bus.publish([arrival("s1", "sub1", GUEST)])
    await settle(kit_env)
    async with Stream(app, "/live", secret) as stream:
        await stream.beats()
        expired = StudyExpired.first(
            time=NOW, key="s1", correlation_id="sub1", step="1", study_id="s1", study_revision=1,
            rule="declined",
        )  # fmt: skip
        await kit_env.bus.publish([expired])
        assert await stream.changed() == "s1"


async def test_others_hear_nothing(app: Any, kit_env: Kit):
    secret = await account(kit_env, "stranger", Role.SEND)
    await opened(kit_env, "sub1", Sender(id="clinic", name="Clinic", origin="clinic"))
    for path in ("/s/sub1/live", "/s/nothing/live"):
        async with Stream(app, path, secret) as stream:
            assert stream.status.result() == 404
