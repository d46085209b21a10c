"""Every route of the whole application, asked by everybody: nobody gets what is not theirs."""

import asyncio
import hmac
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson
import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from anteroom import contracts, operations
from anteroom.composition import build_all
from anteroom.embedded import open_embedded
from anteroom.settings import Settings
from kit.identity import ACCOUNTS, TOKENS, Account, Role, Token, token_id
from kit.service import Kit, Site
from kit.sessions import COOKIE, GRANTS, SESSIONS, Grant, Session
from kit.web import build_app
from schemas.shapes import Person
from schemas.upload import SubmissionOpened
from schemas.validate import StudyArrived
from services.portal.people.models import LOGINS, Login
from tests.component.portal.access_matrix import ROUTES
from tests.conftest import settle
from tests.unit.portal.samples import NOW, SENDER, study

ACCOUNTS_BY_ROLE = {
    "sender": ("clinic", [Role.SEND]),
    "stranger": ("stranger", [Role.SEND]),
    "doctor": ("doctor", [Role.VIEW]),
    "other": ("other", [Role.VIEW]),
    "clerk": ("clerk", [Role.VIEW_ALL]),
    "approver": ("approver", [Role.APPROVE]),
    "admin": ("chief", [Role.ADMIN]),
}
EVERYBODY = ["nobody", "share", "link", *ACCOUNTS_BY_ROLE]
FORM = "f" * 43
BODIES: dict[str, Any] = {
    "POST /api/accounts": {"name": "new"},
    "POST /api/tokens": {"account": "nothing"},
    "POST /api/destinations": {"name": "pacs", "host": "h", "port": 104, "called_ae": "P"},
    "POST /api/studies/{study_id}/decision": {"action": "decline", "study_revision": 9, "match_revision": 9},
    "POST /api/patients/search": {"q": "nobody"},
    "POST /api/directory/search": {"q": "nobody"},
    "POST /api/choose/senders": {"q": "nobody"},
    "POST /api/choose/recipients": {"q": "nobody"},
    "POST /api/choose/colleagues": {"q": "nobody"},
    "POST /api/studies/search": {"q": "nobody"},
    "POST /api/upload-links": {"label": "x"},
    "POST /inbox/views": None,
}
_SIGN_OUT = {"/login", "/logout", "/account/sessions/end-all"}


@dataclass
class Asked:
    app: FastAPI
    kit: Kit

    async def status(self, role: str, route: str) -> int:
        """Of the answer to this route; 401 also where the browser is sent to sign in."""
        method, template = route.split(" ")[:2]
        key = f"{method} {template}"
        path = template.replace("{path:path}", "none.js")
        for name in ("study_id", "submission_id"):
            path = path.replace(f"{{{name}}}", {"study_id": "s1", "submission_id": "sub1"}[name])
        path = "/".join("nothing" if part.startswith("{") else part for part in path.split("/"))
        headers = {
            "host": "here",
            "accept": "*/*" if path.startswith(("/api/", "/dicomweb/")) else "text/html",
            "origin": "http://here",
            "sec-fetch-site": "same-origin",
            **await self._proof(role),
        }
        body = b""
        if method in {"POST", "PUT", "PATCH"} and ("/api/" in path) and BODIES.get(key, {}) is not None:
            headers["content-type"] = "application/json"
            body = orjson.dumps(BODIES.get(key, {}))
        elif method == "POST":
            headers["content-type"] = "application/x-www-form-urlencoded"
        headers["content-length"] = str(len(body))
        status, answered = await ask(self.app, method, path, "", headers, body)
        headers["content-length"] = str(len(body))
        status, answered = await ask(self.app, method, path, "", headers, body)
        target = answered.get("location", "")
        if status == 303 and target.startswith("/login") and path not in _SIGN_OUT:
            return 401
        return status

    async def _proof(self, role: str) -> dict[str, str]:
        """Credentials, and the token that our own forms carry."""
        cookies, secret = {"anteroom_form": FORM}, FORM
        headers = {}
        if role in {"share", "link"}:
            secret = cookies[COOKIE] = await self._session(role)
        elif role != "nobody":
            headers["authorization"] = f"Bearer {role}"
        headers["cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
        headers["x-csrf-token"] = hmac.new(
            self.kit.site_key, f"form\x1f{secret}".encode(), sha256
        ).hexdigest()
        return headers

    async def _session(self, role: str) -> str:
        """A fresh one each time: some routes end it."""
        secret, now = f"session-of-{role}-0123456789", self.kit.clock()
        if await self.kit.documents.get(SESSIONS, token_id(secret)) is None:
            session = Session(
                id=token_id(secret),
                kind="share" if role == "share" else "upload-link",
                grant_id=token_id(role),
                created_at=now,
                seen_at=now,
                expires_at=now + timedelta(hours=1),
            )
            await self.kit.documents.save(SESSIONS, session)
        return secret


async def ask(
    app: FastAPI, method: str, path: str, query: str, headers: dict[str, str], body: bytes
) -> tuple[int, dict[str, str]]:
    """Status and headers of the answer. What streams for ever is broken off after them."""
    started: asyncio.Future[tuple[int, dict[str, str]]] = asyncio.get_running_loop().create_future()
    given = False

    async def receive() -> dict[str, Any]:
        nonlocal given
        if given:
            await asyncio.Event().wait()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start" and not started.done():
            names = {name.decode(): value.decode() for name, value in message["headers"]}
            started.set_result((message["status"], names))

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
        "path": path, "raw_path": path.encode(), "query_string": query.encode(), "root_path": "",
        "headers": [(k.encode(), v.encode()) for k, v in headers.items()],
        "client": ("10.0.0.7", 1), "server": ("here", 80),
    }  # fmt: skip
    task = asyncio.ensure_future(app(scope, receive, send))
    await asyncio.wait({task, started}, return_when=asyncio.FIRST_COMPLETED)
    if not started.done():
        await task
    await asyncio.wait({task}, timeout=0.05)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return started.result()


@pytest.fixture
async def asked(tmp_path: Path) -> AsyncIterator[Asked]:
    embedded = open_embedded(tmp_path / "data", Site(url="http://here"))
    kit = embedded.kit
    app = build_app(kit, [*build_all(kit, Settings()), operations.build(kit), contracts.build()])
    await kit.bus.start()
    for role, (name, roles) in ACCOUNTS_BY_ROLE.items():
        account = Account(id=name, name=name, roles=roles, email=f"{name}@hospital.example")
        await kit.documents.save(ACCOUNTS, account)
        await kit.documents.save(TOKENS, Token(id=token_id(role), account_id=name, created_at=NOW))
        await kit.documents.save(LOGINS, Login(id=name, account_id=name, email=f"{name}@hospital.example"))
    now = kit.clock()
    for role, kind in (("share", "share"), ("link", "upload-link")):
        grant = Grant(
            id=token_id(role),
            kind=kind,  # type: ignore[arg-type]
            label=role,
            made_by="clerk",
            created_at=now,
            expires_at=now + timedelta(days=1),
            studies=["s1"] if role == "share" else [],
            download=True,
        )
        await kit.documents.save(GRANTS, grant)
    opened = SubmissionOpened.first(
        time=now, key="sub1", correlation_id="sub1", submission_id="sub1", sender=SENDER,
        recipients=(Person(name="Doctor", account_id="doctor"),),
    )  # fmt: skip
    arrived = StudyArrived.first(time=now, key="s1", correlation_id="sub1", study=study())
    await kit.bus.publish([opened, arrived])
    await settle(kit)
    yield Asked(app, kit)
    await embedded.close()


def listed(route: str) -> tuple[str, str]:
    method, path, *mark = route.split(" ")
    return f"{method} {path}", mark[0] if mark else ""


def of_app(app: FastAPI) -> set[str]:
    return {
        f"{method} {context.path}"
        for context in iter_route_contexts(app.routes)
        for method in (context.methods or set()) - {"HEAD"}
    }


async def test_every_route_is_listed_with_who_may_use_it(asked: Asked):
    known = {listed(route)[0] for route in ROUTES}
    assert of_app(asked.app) - known == set(), "list new routes in access_matrix.py"
    assert known - of_app(asked.app) == set(), "these are gone: take them out of access_matrix.py"


async def test_everybody_gets_what_is_theirs_and_nothing_else(asked: Asked):
    wrong = []
    for route, who in ROUTES.items():
        _, mark = listed(route)
        for role in EVERYBODY:
            status = await asked.status(role, route)
            if role in who.split():
                fine = (
                    status not in {401, 403}
                    and (status != 404 or mark in {"?", "*"})
                    and status not in {500, 405}
                )
            else:
                fine = status in {401, 403} or (status == 404 and mark in {"=", "*"} and role != "nobody")
            if not fine:
                wrong.append(f"{route}: {role} gets {status}")
    assert not wrong, "\n".join(wrong)
