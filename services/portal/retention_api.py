"""Retention over HTTP: the policy, what it would let go, what goes next, and keeping a study."""

from datetime import datetime

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from kit.identity import Principal, Role
from kit.service import Caller, Kit
from services.portal import retention_files_ledger as files_ledger
from services.portal.retention import Retention
from services.portal.retention_models import Expiry, Figure, FileExpiry, Policy
from services.portal.rules.files import FileRule, rule_of


class RetentionFields(BaseModel):
    """Null: for good."""

    model_config = ConfigDict(extra="forbid")
    in_pacs_days: int | None = Field(default=None, description="after their arrival was proved")
    declined_days: int | None = Field(default=None, description="after they were turned down")
    documents_days: int | None = Field(
        default=None,
        description="documents, after no study of their submission has images here, or after they came where "
        "it brought none; nothing proves that they are anywhere else",
    )
    quarantine_days: int | None = Field(default=None, description="files put aside, after the same time")
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


class ShownFiles(BaseModel):
    """Documents of a submission, or its files put aside (`rule`)."""

    submission_id: str
    rule: FileRule
    state: str
    files: int
    changed_at: datetime
    goes_at: datetime | None
    account: str
    reason: str


class ShownRetention(RetentionFields):
    """`studies` and `bytes`, and `files` of `submissions`, are what would go now."""

    looked_at: datetime | None
    doubted: bool = Field(
        description="nothing goes: the clock leapt. It is believed after a day, or when saved"
    )
    studies: int
    bytes: int
    announced: list[ShownExpiry]
    kept: list[ShownExpiry]
    shared: list[ShownExpiry]
    submissions: int
    files: int
    announced_files: list[ShownFiles]
    kept_files: list[ShownFiles]


class Keeping(BaseModel):
    model_config = ConfigDict(extra="forbid")
    reason: str = Field(default="", max_length=200)


def routes(kit: Kit, retention: Retention) -> APIRouter:
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
        return await retention.whole_figure(Policy(id="asked", **fields.model_dump()))

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

    @router.put("/kept-files/{submission_id}/{rule}", status_code=204)
    async def keep_files(
        submission_id: str, rule: str, keeping: Keeping, who: Principal = Caller
    ) -> Response:
        """Keep the documents of this submission, or its files put aside, whatever the policy says. `rule`:
        documents, quarantine."""
        who.require(Role.ADMIN)
        await files_ledger.keep(kit, who, submission_id, rule_of(rule), keeping.reason)
        return Response(status_code=204)

    @router.delete("/kept-files/{submission_id}/{rule}", status_code=204)
    async def release_files(submission_id: str, rule: str, who: Principal = Caller) -> Response:
        who.require(Role.ADMIN)
        await files_ledger.release(kit, who, submission_id, rule_of(rule))
        return Response(status_code=204)

    return router


async def _shown(retention: Retention, policy: Policy) -> ShownRetention:
    found = await retention.whole_figure(policy)
    return ShownRetention(
        in_pacs_days=policy.in_pacs_days,
        declined_days=policy.declined_days,
        documents_days=policy.documents_days,
        quarantine_days=policy.quarantine_days,
        undo_hours=policy.undo_hours,
        looked_at=policy.looked_at,
        doubted=policy.doubts > 0,
        studies=found.studies,
        bytes=found.bytes,
        announced=[_line(expiry) for expiry, _ in await retention.listed("announced", 1000)],
        kept=[_line(expiry) for expiry, _ in await retention.listed("kept", 1000)],
        shared=[_line(expiry) for expiry, _ in await retention.listed("shared", 1000)],
        submissions=found.submissions,
        files=found.files,
        announced_files=[_files(one) for one, _ in await retention.files.listed("announced", 1000)],
        kept_files=[_files(one) for one, _ in await retention.files.listed("kept", 1000)],
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


def _files(expiry: FileExpiry) -> ShownFiles:
    return ShownFiles(
        submission_id=expiry.submission_id,
        rule=expiry.rule,
        state=expiry.state,
        files=expiry.files,
        changed_at=expiry.changed_at,
        goes_at=expiry.due_at,
        account=expiry.account,
        reason=expiry.reason,
    )
