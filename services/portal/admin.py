"""Administration: accounts, tokens, destinations, the audit trail."""

from datetime import datetime, timedelta
from typing import Any, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from kit.destinations import Destination
from kit.documents.port import Scalar
from kit.errors import NotFound
from kit.identity import TOKENS, Account, Principal, Role, Token, token_id
from kit.ids import secret_token
from kit.service import Caller, Kit
from services.portal import accounts, destinations, trail
from services.portal.accounts import account_by, account_id, record
from services.portal.models import AUDIT, AuditEntry
from services.portal.rules.chain import BEGIN, Head


class AccountFields(BaseModel):
    """What an administrator sets; in a change, fields left out stay as they are."""

    model_config = ConfigDict(extra="forbid")
    name: str = ""
    origin: str = Field(default="", max_length=64)
    email: str | None = None
    phone: str | None = None
    language: str = Field(default="en", max_length=10)
    roles: list[Role] = Field(default_factory=list)
    groups: list[str] = Field(default_factory=list, max_length=50, description="ids of groups")
    departments: list[str] = Field(default_factory=list, max_length=50)
    ae_titles: list[str] = Field(default_factory=list, max_length=50)
    addresses: list[str] = Field(default_factory=list, max_length=50)
    certificates: list[str] = Field(default_factory=list, max_length=50)
    policy: Literal["review", "forward-certain"] = "review"
    destinations: list[str] = Field(default_factory=list, max_length=50)
    disabled: bool = False
    told_of_failures: bool = Field(
        default=True, description="mail of failed deliveries, where it may approve"
    )


class ShownAccount(AccountFields):
    id: str


class NewToken(BaseModel):
    model_config = ConfigDict(extra="forbid")
    account: str = Field(description="id or name")
    label: str = Field(default="", max_length=100)
    days: int | None = Field(default=None, ge=1, le=3650, description="until it expires; default: never")


class ShownToken(BaseModel):
    id: str
    account_id: str
    label: str
    created_at: datetime
    expires_at: datetime | None


class IssuedToken(ShownToken):
    secret: str = Field(description="shown now and never again")


class DestinationFields(BaseModel):
    model_config = ConfigDict(extra="forbid")
    kind: Literal["dicom", "stow"] = "dicom"
    host: str = Field(default="", max_length=255)
    port: int = 0
    called_ae: str = ""
    calling_ae: str = "ANTEROOM"
    url: str = Field(default="", max_length=500)
    tls: bool = False
    tls_ca: str = Field(default="", max_length=500)
    commitment: bool = True
    commitment_timeout_s: float = Field(default=60, ge=1, le=86400)


class ShownDestination(DestinationFields):
    name: str


class NewDestination(ShownDestination):
    pass


class ShownEntry(BaseModel):
    time: datetime
    account_id: str
    account: str
    action: str
    kind: str
    object_id: str
    detail: str


class ShownChain(BaseModel):
    """`seq` and `hash` are of the last entry that holds; `unchained` counts entries of earlier versions.
    `broken_at` is 0 where what is wrong is no entry of the chain."""

    seq: int
    hash: str
    end: bool
    broken_at: int | None
    reason: str
    unchained: int


class Trail(BaseModel):
    entries: list[ShownEntry]
    cursor: str | None


def routes(kit: Kit) -> APIRouter:
    router = APIRouter(prefix="/api", tags=["administration"])
    _account_routes(router, kit)
    _token_routes(router, kit)
    _destination_routes(router, kit)
    _audit_routes(router, kit)
    return router


def _account_routes(router: APIRouter, kit: Kit) -> None:
    @router.get("/accounts")
    async def list_accounts(who: Principal = Caller) -> list[ShownAccount]:
        who.require(Role.ADMIN)
        return [_shown(account) for account in await accounts.all_accounts(kit)]

    @router.post("/accounts", status_code=201)
    async def create_account(fields: AccountFields, who: Principal = Caller) -> ShownAccount:
        who.require(Role.ADMIN)
        account = Account(id=account_id(fields.name), **fields.model_dump())
        return _shown(await accounts.make_account(kit, who, account))

    @router.patch("/accounts/{text}")
    async def change_account(text: str, fields: AccountFields, who: Principal = Caller) -> ShownAccount:
        who.require(Role.ADMIN)
        account = await account_by(kit, text)
        changes = fields.model_dump(exclude_unset=True)
        changed = Account.model_validate({**account.model_dump(), **changes})
        return _shown(await accounts.change_account(kit, who, account, changed))


def _shown(account: Account) -> ShownAccount:
    return ShownAccount.model_validate(account.model_dump(exclude={"causes"}))


def _token_routes(router: APIRouter, kit: Kit) -> None:
    documents = kit.documents

    @router.get("/tokens")
    async def tokens(
        account: str = Query(default="", max_length=100, description="id or name"), who: Principal = Caller
    ) -> list[ShownToken]:
        who.require(Role.ADMIN)
        where: dict[str, Scalar] = {"account_id": (await account_by(kit, account)).id} if account else {}
        page = await documents.find(TOKENS, where, limit=1000)
        return [_shown_token(token) for token in page.items]

    @router.post("/tokens", status_code=201)
    async def create_token(new: NewToken, who: Principal = Caller) -> IssuedToken:
        who.require(Role.ADMIN)
        account = await account_by(kit, new.account)
        now = kit.clock()
        secret = secret_token()
        token = Token(
            id=token_id(secret),
            account_id=account.id,
            label=new.label,
            created_at=now,
            expires_at=now + timedelta(days=new.days) if new.days is not None else None,
        )
        await record(kit, who, "made", "token", token.id[:16], account.id)
        await documents.save(TOKENS, token)
        return IssuedToken(secret=secret, **_shown_token(token).model_dump())

    @router.delete("/tokens/{token}", status_code=204)
    async def revoke_token(token: str, who: Principal = Caller) -> Response:
        """By id, or by its first 16 characters or more."""
        who.require(Role.ADMIN)
        found = await _token(kit, token)
        await record(kit, who, "revoked", "token", found.id[:16], found.account_id)
        await documents.delete(TOKENS, found)
        kit.identity.forget()
        return Response(status_code=204)


async def _token(kit: Kit, text: str) -> Token:
    found = await kit.documents.get(TOKENS, text) if len(text) == 64 else None
    if found is None and 16 <= len(text) < 64:
        page = await kit.documents.find(TOKENS, limit=1000)
        found = next((token for token in page.items if token.id.startswith(text)), None)
    if found is None:
        raise NotFound("no-token", "There is no such token.")
    return found


def _shown_token(token: Token) -> ShownToken:
    return ShownToken(
        id=token.id,
        account_id=token.account_id,
        label=token.label,
        created_at=token.created_at,
        expires_at=token.expires_at,
    )


def _destination_routes(router: APIRouter, kit: Kit) -> None:
    @router.get("/destinations")
    async def list_destinations(who: Principal = Caller) -> list[dict[str, Any]]:
        """An approver sees names and kinds, an administrator all."""
        who.require(Role.APPROVE)
        all_fields = [_shown_destination(d).model_dump() for d in await destinations.all_destinations(kit)]
        if who.may(Role.ADMIN):
            return all_fields
        return [{"name": fields["name"], "kind": fields["kind"]} for fields in all_fields]

    @router.post("/destinations", status_code=201)
    async def create_destination(new: NewDestination, who: Principal = Caller) -> ShownDestination:
        who.require(Role.ADMIN)
        destination = Destination(id=new.name, **new.model_dump(exclude={"name"}))
        return _shown_destination(await destinations.make_destination(kit, who, destination))

    @router.patch("/destinations/{name}")
    async def patch_destination(
        name: str, fields: DestinationFields, who: Principal = Caller
    ) -> ShownDestination:
        who.require(Role.ADMIN)
        destination = await destinations.destination_by(kit, name)
        changes = fields.model_dump(exclude_unset=True)
        changed = Destination.model_validate({**destination.model_dump(), **changes})
        return _shown_destination(await destinations.change_destination(kit, who, destination, changed))

    @router.delete("/destinations/{name}", status_code=204)
    async def remove_destination(name: str, who: Principal = Caller) -> Response:
        who.require(Role.ADMIN)
        await destinations.remove_destination(kit, who, await destinations.destination_by(kit, name))
        return Response(status_code=204)


def _shown_destination(destination: Destination) -> ShownDestination:
    fields = destination.model_dump(exclude={"id", "causes", "seq", "previous", "hash", "ref"})
    return ShownDestination(name=destination.id, **fields)


def _audit_routes(router: APIRouter, kit: Kit) -> None:
    @router.get("/audit/chain")
    async def chain(
        after: int = Query(default=0, ge=0, description="begin behind this entry"),
        hash: str = Query(default=BEGIN, min_length=64, max_length=64, description="of that entry"),
        limit: int = Query(default=20_000, ge=1, le=100_000),
        who: Principal = Caller,
    ) -> ShownChain:
        """Check that no entry was changed, taken out or put in; go on behind `seq` until `end`."""
        who.require(Role.ADMIN)
        found = await trail.verify(kit, Head(after, hash), limit)
        return ShownChain(
            seq=found.head.seq,
            hash=found.head.hash,
            end=found.end,
            broken_at=found.broken.seq if found.broken is not None else None,
            reason=found.broken.reason if found.broken is not None else "",
            unchained=found.older,
        )

    @router.get("/audit")
    async def audit(
        account: str = Query(default="", max_length=64, description="id of an account"),
        about: str = Query(
            default="", max_length=64, description="id of a study, account, token, destination"
        ),
        limit: int = Query(default=100, ge=1, le=1000),
        cursor: str | None = Query(default=None, max_length=500),
        who: Principal = Caller,
    ) -> Trail:
        """Newest first."""
        who.require(Role.ADMIN)
        where: dict[str, Scalar] = {}
        if account:
            where["account_id"] = account
        if about:
            where["object_id"] = about
        page = await kit.documents.find(
            AUDIT, where, order="time", descending=True, limit=limit, cursor=cursor
        )
        return Trail(entries=[_entry(item) for item in page.items], cursor=page.cursor)


def _entry(item: AuditEntry) -> ShownEntry:
    return ShownEntry.model_validate(
        item.model_dump(exclude={"id", "causes", "seq", "previous", "hash", "ref"})
    )
