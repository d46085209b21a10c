"""Who is asking, and what they may do. Which study somebody may see is decided in kit.access.

Accounts, groups, tokens, sessions and grants are written by portal alone and read by all services
through Identity, which caches for at most five seconds: revoking works at once.
"""

import hashlib
import ipaddress
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal, TypeVar

from pydantic import Field

from kit.clock import Clock
from kit.documents.port import Collection, Doc, Documents, Has, Instant
from kit.documents.walking import each
from kit.errors import Forbidden, Unauthorized, VersionConflict
from kit.sessions import GRANTS, SESSIONS, Grant, Kind, Session
from schemas.shapes import Sender

_CACHE = timedelta(seconds=5)
_NOTED_EVERY = timedelta(seconds=30)
_DOORS_WITH_PROOF = frozenset({"portal", "api", "stow"})

Item = TypeVar("Item")
Policy = Literal["review", "forward-certain"]


class Role(StrEnum):
    """A right. ADMIN has all of them, APPROVE includes VIEW_ALL, and that includes VIEW.

    VIEW is a physician's: what was addressed to or shared with the account or its departments.
    VIEW_ALL is the file room's: every study.
    """

    SEND = "send"
    VIEW = "view"
    VIEW_ALL = "view-all"
    APPROVE = "approve"
    ADMIN = "admin"


_GIVEN_BY: dict[Role, frozenset[Role]] = {
    Role.SEND: frozenset({Role.SEND, Role.ADMIN}),
    Role.VIEW: frozenset({Role.VIEW, Role.VIEW_ALL, Role.APPROVE, Role.ADMIN}),
    Role.VIEW_ALL: frozenset({Role.VIEW_ALL, Role.APPROVE, Role.ADMIN}),
    Role.APPROVE: frozenset({Role.APPROVE, Role.ADMIN}),
    Role.ADMIN: frozenset({Role.ADMIN}),
}


_DOES: dict[Role, str] = {
    Role.SEND: "send images",
    Role.VIEW: "see studies",
    Role.VIEW_ALL: "see all studies",
    Role.APPROVE: "approve studies",
    Role.ADMIN: "administer",
}


class Group(Doc):
    """Rights and departments that its members have besides their own."""

    name: str
    roles: list[Role] = Field(default_factory=list)
    departments: list[str] = Field(default_factory=list)
    policy: Policy = "review"
    destinations: list[str] = Field(default_factory=list)


class Account(Doc):
    """A person or a machine that acts here. A sender's studies belong to its origin."""

    name: str
    origin: str = ""
    email: str | None = None
    phone: str | None = None
    language: str = "en"
    roles: list[Role] = Field(default_factory=list)
    groups: list[str] = Field(default_factory=list, description="ids of groups it is a member of")
    departments: list[str] = Field(default_factory=list, description="departments whose post it sees")
    ae_titles: list[str] = Field(default_factory=list, description="calling AE titles it sends under")
    addresses: list[str] = Field(default_factory=list, description="IP addresses or networks it sends from")
    certificates: list[str] = Field(default_factory=list, description="subject common names for mutual TLS")
    policy: Policy = "review"
    destinations: list[str] = Field(default_factory=list, description="where its approved studies go")
    disabled: bool = False
    told_of_failures: bool = Field(
        default=True, description="gets mail of failed deliveries, where it may approve"
    )


class Token(Doc):
    """An API token; `id` is the SHA-256 of the secret, which is shown once and never kept."""

    account_id: str
    label: str = ""
    created_at: Instant
    expires_at: Instant | None = None


GROUPS = Collection("groups", Group, fields=("name",))
ACCOUNTS = Collection("accounts", Account, fields=("name",), members="ae_titles")
TOKENS = Collection("tokens", Token, fields=("account_id",))


def token_id(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


@dataclass(frozen=True)
class Principal:
    """Who is asking. `account` holds what its groups add, and is not to be saved.

    Somebody who came by a link has `kind` share or upload-link, the `grant`, and an account made up
    for it: without any right for a share, with SEND alone for an upload link.
    """

    account: Account
    kind: Kind = "account"
    session: Session | None = None
    grant: Grant | None = None

    def may(self, role: Role) -> bool:
        roles = self.account.roles
        return not _GIVEN_BY[role].isdisjoint(roles)

    def require(self, role: Role) -> None:
        """Raises Forbidden."""
        if not self.may(role):
            raise Forbidden(
                "not-allowed",
                f"This account does not have the right to {_DOES[role]}. An administrator can give it.",
            )

    def sender(self, door: Literal["portal", "api", "stow", "dicom"]) -> Sender:
        account = self.account
        return Sender(id=account.id, name=account.name, origin=account.origin or account.id, door=door)


class Identity:
    def __init__(self, documents: Documents, clock: Clock) -> None:
        self._documents = documents
        self._clock = clock
        self._cache: dict[str, tuple[datetime, Principal]] = {}

    async def by_token(self, secret: str) -> Principal:
        """Raises Unauthorized for an unknown, expired or disabled one, always with the same words."""
        found = await self._cached("token", token_id(secret), self._token)
        if found is None:
            raise Unauthorized("bad-token", "This token is not valid here. Ask the hospital for a new one.")
        return found

    async def by_session(self, secret: str, *, act: bool = False) -> Principal | None:
        """Who the browser with this cookie is; None when its session is unknown or over. An act of the
        person before it lets the session wait anew."""
        key, now = token_id(secret), self._clock()
        found = await self._cached("session", key, self._session)
        if found is not None and found.session is not None and found.session.ended(now):
            self._cache.pop(f"session {key}", None)
            found = await self._cached("session", key, self._session)
        session = found.session if found is not None else None
        if found is None or session is None or not act:
            return found
        if now - session.seen_at < min(_NOTED_EVERY, timedelta(seconds=session.idle_s / 10)):
            return found
        self._cache.pop(f"session {key}", None)
        return replace(found, session=await self._note_act(session, now))

    def forget(self) -> None:
        """What was changed in this process shows at once."""
        self._cache.clear()

    async def effective(self, account: Account) -> Account:
        """A copy with what the account's groups add. Not to be saved."""
        found = [await self._documents.get(GROUPS, group_id) for group_id in account.groups]
        return with_groups(account, [group for group in found if group is not None])

    async def entitled(self, role: Role) -> list[Account]:
        """Every enabled account that has this right, of its own or by a group, by name."""
        groups = {group.id: group async for group in each(self._documents, GROUPS, limit=1000)}
        found: list[Account] = []
        async for stored in each(self._documents, ACCOUNTS, order="name", limit=1000):
            account = with_groups(stored, [groups[one] for one in stored.groups if one in groups])
            if not account.disabled and Principal(account).may(role):
                found.append(account)
        return found

    async def _cached(
        self, what: str, key: str, look: Callable[[str], Awaitable[Principal | None]]
    ) -> Principal | None:
        now = self._clock()
        hit = self._cache.get(f"{what} {key}")
        if hit is not None and timedelta() <= now - hit[0] < _CACHE:
            return hit[1]
        found = await look(key)
        if found is None:
            self._cache.pop(f"{what} {key}", None)
            return None
        if len(self._cache) > 1000:
            self._cache.clear()
        self._cache[f"{what} {key}"] = (now, found)
        return found

    async def _token(self, key: str) -> Principal | None:
        token = await self._documents.get(TOKENS, key)
        if token is None or (token.expires_at and token.expires_at <= self._clock()):
            return None
        account = await self._enabled(token.account_id)
        return Principal(account) if account is not None else None

    async def _session(self, key: str) -> Principal | None:
        now = self._clock()
        session = await self._documents.get(SESSIONS, key)
        if session is None or session.ended(now):
            return None
        if session.kind == "account":
            account = await self._enabled(session.account_id)
            found = Principal(account, session=session) if account is not None else None
        else:
            grant = await self._documents.get(GRANTS, session.grant_id)
            found = by_grant(grant, session) if grant is not None and grant.usable(now) else None
        return found

    async def _note_act(self, session: Session, now: datetime) -> Session:
        used = session.model_copy(update={"seen_at": now})
        try:
            return await self._documents.save(SESSIONS, used)
        except VersionConflict:
            # Noted elsewhere at the same moment, or ended: the next who asks learns it.
            return session

    async def _enabled(self, account_id: str) -> Account | None:
        account = await self._documents.get(ACCOUNTS, account_id)
        return await self.effective(account) if account is not None and not account.disabled else None

    async def account(self, account_id: str) -> Account | None:
        return await self._documents.get(ACCOUNTS, account_id)

    async def by_association(self, calling_ae: str, address: str, certificate: str | None) -> Account | None:
        """The sender account a DICOM association belongs to: its calling AE title is listed, and its
        address and certificate are too where the account names any. None: not allowed in."""
        page = await self._documents.find(ACCOUNTS, {"ae_titles": Has(calling_ae)}, limit=100)
        for stored in page.items:
            account = await self.effective(stored)
            if account.disabled or Role.SEND not in account.roles:
                continue
            if account.addresses and not _within(address, account.addresses):
                continue
            if account.certificates and certificate not in account.certificates:
                continue
            return account
        return None


def with_groups(account: Account, groups: list[Group]) -> Account:
    """The account with what the groups add; its version is 0, so that saving it by mistake fails."""
    policies = [account.policy, *(group.policy for group in groups)]
    update = {
        "roles": _joined(account.roles, [group.roles for group in groups]),
        "departments": _joined(account.departments, [group.departments for group in groups]),
        "destinations": account.destinations or _joined([], [group.destinations for group in groups]),
        "policy": "forward-certain" if "forward-certain" in policies else "review",
        "version": 0,
    }
    return account.model_copy(update=update)


def _joined(own: list[Item], others: list[list[Item]]) -> list[Item]:
    return list(dict.fromkeys([*own, *(item for other in others for item in other)]))


def by_grant(grant: Grant, session: Session | None = None) -> Principal:
    """Who came by this link. The account is made up: it stands in no collection."""
    account = Account(
        id=f"link-{grant.id[:24]}",
        name=grant.label,
        origin=grant.origin,
        email=grant.email or None,
        phone=grant.phone or None,
        language=grant.language,
        roles=[Role.SEND] if grant.kind == "upload-link" else [],
    )
    return Principal(account, kind=grant.kind, session=session, grant=grant)


def proves_itself(account: Account, door: str) -> bool:
    """Whether an automatic policy may trust this sender at this door: an AE title alone is no proof, and a
    door that a newer version opened is not known here."""
    return door in _DOORS_WITH_PROOF or (door == "dicom" and bool(account.addresses or account.certificates))


def _within(address: str, networks: list[str]) -> bool:
    ip = ipaddress.ip_address(address)
    return any(ip in ipaddress.ip_network(network, strict=False) for network in networks)
