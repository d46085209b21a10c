"""Who is asking, and what they may do. Access is decided here and nowhere else.

Accounts and tokens are written by portal alone and read by all services through Identity, which
caches for at most five seconds: revoking works at once.
"""

import hashlib
import ipaddress
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Literal

from pydantic import Field

from kit.clock import Clock
from kit.documents.port import Collection, Doc, Documents, Has, Instant
from kit.errors import Forbidden, Unauthorized
from schemas.shapes import Sender

_CACHE = timedelta(seconds=5)


class Role(StrEnum):
    SEND = "send"
    VIEW = "view"
    APPROVE = "approve"
    ADMIN = "admin"


class Account(Doc):
    """A person or a machine that acts here. A sender's studies belong to its origin."""

    name: str
    origin: str = ""
    email: str | None = None
    phone: str | None = None
    language: str = "en"
    roles: list[Role] = Field(default_factory=list)
    ae_titles: list[str] = Field(default_factory=list, description="calling AE titles it sends under")
    addresses: list[str] = Field(default_factory=list, description="IP addresses or networks it sends from")
    certificates: list[str] = Field(default_factory=list, description="subject common names for mutual TLS")
    policy: Literal["review", "forward-certain"] = "review"
    destinations: list[str] = Field(default_factory=list, description="where its approved studies go")
    disabled: bool = False


class Token(Doc):
    """An API token; `id` is the SHA-256 of the secret, which is shown once and never kept."""

    account_id: str
    label: str = ""
    created_at: Instant
    expires_at: Instant | None = None


ACCOUNTS = Collection("accounts", Account, fields=("name",), members="ae_titles")
TOKENS = Collection("tokens", Token, fields=("account_id",))


def token_id(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


@dataclass(frozen=True)
class Principal:
    """An authenticated account."""

    account: Account

    def may(self, role: Role) -> bool:
        return role in self.account.roles or Role.ADMIN in self.account.roles

    def require(self, role: Role) -> None:
        """Raises Forbidden."""
        if not self.may(role):
            raise Forbidden("not-allowed", f"This account does not have the right to {role}.")

    def sender(self, door: Literal["portal", "api", "stow", "dicom"]) -> Sender:
        account = self.account
        return Sender(id=account.id, name=account.name, origin=account.origin or account.id, door=door)


class Identity:
    def __init__(self, documents: Documents, clock: Clock) -> None:
        self._documents = documents
        self._clock = clock
        self._cache: dict[str, tuple[object, Principal]] = {}

    async def by_token(self, secret: str) -> Principal:
        """Raises Unauthorized for an unknown, expired or disabled one, always with the same words."""
        now = self._clock()
        key = token_id(secret)
        hit = self._cache.get(key)
        if hit is not None and isinstance(hit[0], type(now)) and now - hit[0] < _CACHE:
            return hit[1]
        token = await self._documents.get(TOKENS, key)
        account = await self._documents.get(ACCOUNTS, token.account_id) if token else None
        if (
            token is None
            or account is None
            or account.disabled
            or (token.expires_at and token.expires_at <= now)
        ):
            self._cache.pop(key, None)
            raise Unauthorized("bad-token", "This token is not valid here. Ask the hospital for a new one.")
        principal = Principal(account)
        if len(self._cache) > 1000:
            self._cache.clear()
        self._cache[key] = (now, principal)
        return principal

    async def account(self, account_id: str) -> Account | None:
        return await self._documents.get(ACCOUNTS, account_id)

    async def by_association(self, calling_ae: str, address: str, certificate: str | None) -> Account | None:
        """The sender account a DICOM association belongs to: its calling AE title is listed, and its
        address and certificate are too where the account names any. None: not allowed in."""
        page = await self._documents.find(ACCOUNTS, {"ae_titles": Has(calling_ae)}, limit=100)
        for account in page.items:
            if account.disabled or Role.SEND not in account.roles:
                continue
            if account.addresses and not _within(address, account.addresses):
                continue
            if account.certificates and certificate not in account.certificates:
                continue
            return account
        return None


def proves_itself(account: Account, door: str) -> bool:
    """Whether an automatic policy may trust this sender at this door: an AE title alone is no proof."""
    return door != "dicom" or bool(account.addresses or account.certificates)


def _within(address: str, networks: list[str]) -> bool:
    ip = ipaddress.ip_address(address)
    return any(ip in ipaddress.ip_network(network, strict=False) for network in networks)
