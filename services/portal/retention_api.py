"""Retention over HTTP: the policy, what it would let go, what goes next, and keeping a study."""

from datetime import datetime

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from kit.identity import Principal, Role
from kit.service import Caller
from services.portal.retention import Retention
from services.portal.retention_models import Expiry, Figure, Policy


class RetentionFields(BaseModel):
    """Null: for good."""

    model_config = ConfigDict(extra="forbid")
    in_pacs_days: int | None = Field(default=None, description="after their arrival was proved")
    declined_days: int | None = Field(default=None, description="after they were turned down")
    undo_hours: int = Field(default=72, description="announced for so long before they go")


class ShownExpiry(BaseModel):
    study_id: str
    state: str
    rule: str
    bytes: int
    changed_at: datetime
    goes_at: datetime | None = None
    shared_until: datetime | None = Field(default=None, description="its images stay for a link that works")
    account: str
    reason: str


class ShownRetention(RetentionFields):
    """`studies` and `bytes` are what would go now."""

    looked_at: datetime | None
    doubted: bool = Field(
        description="nothing goes: the clock leapt. It is believed after a day, or when saved"
    )
    studies: int
    bytes: int
    announced: list[ShownExpiry]
    kept: list[ShownExpiry]
    shared: list[ShownExpiry]


class Keeping(BaseModel):
    model_config = ConfigDict(extra="forbid")
    reason: str = Field(default="", max_length=200)


def routes(retention: Retention) -> APIRouter:
    router = APIRouter(prefix="/api/retention", tags=["administration"])

    @router.get("")
    async def shown(who: Principal = Caller) -> ShownRetention:
        who.require(Role.ADMIN)
        policy = await retention.policy()
        return await _shown(retention, policy)

    @router.put("")
    async def change(fields: RetentionFields, who: Principal = Caller) -> ShownRetention:
        who.require(Role.ADMIN)
        return await _shown(retention, await retention.change(who, **fields.model_dump()))

    @router.post("/figure")
    async def figure(fields: RetentionFields, who: Principal = Caller) -> Figure:
        """What such a policy would let go now. Nothing is changed."""
        who.require(Role.ADMIN)
        return await retention.figure(Policy(id="asked", **fields.model_dump()).days)

    @router.put("/kept/{study_id}", status_code=204)
    async def keep(study_id: str, keeping: Keeping, who: Principal = Caller) -> Response:
        """Keep the images of this study, whatever the policy says."""
        who.require(Role.APPROVE)
        await retention.keep(who, study_id, keeping.reason)
        return Response(status_code=204)

    @router.delete("/kept/{study_id}", status_code=204)
    async def release(study_id: str, who: Principal = Caller) -> Response:
        who.require(Role.ADMIN)
        await retention.release(who, study_id)
        return Response(status_code=204)

    return router


async def _shown(retention: Retention, policy: Policy) -> ShownRetention:
    found = await retention.figure(policy.days)
    return ShownRetention(
        in_pacs_days=policy.in_pacs_days,
        declined_days=policy.declined_days,
        undo_hours=policy.undo_hours,
        looked_at=policy.looked_at,
        doubted=policy.doubts > 0,
        studies=found.studies,
        bytes=found.bytes,
        announced=[_line(expiry) for expiry, _ in await retention.listed("announced", 1000)],
        kept=[_line(expiry) for expiry, _ in await retention.listed("kept", 1000)],
        shared=[_line(expiry) for expiry, _ in await retention.listed("shared", 1000)],
    )


def _line(expiry: Expiry) -> ShownExpiry:
    return ShownExpiry(
        study_id=expiry.id,
        state=expiry.state,
        rule=expiry.rule,
        bytes=expiry.bytes,
        changed_at=expiry.changed_at,
        goes_at=expiry.due_at,
        shared_until=expiry.until,
        account=expiry.account,
        reason=expiry.reason,
    )
