"""What the fields offer in which one of very many people is chosen."""

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from kit.access import is_physician, sees_all
from kit.errors import Forbidden
from kit.identity import Principal
from kit.service import Caller, Kit
from services.portal.people.choosing import Choice, choices


class Asked(BaseModel):
    """In the body: what is typed is somebody's name, and addresses end up in logs."""

    model_config = ConfigDict(extra="forbid")
    q: str = Field(default="", max_length=100)


def routes(kit: Kit) -> APIRouter:
    router = APIRouter(tags=["pages"], include_in_schema=False)

    @router.post("/api/choose/senders")
    async def senders(asked: Asked, who: Principal = Caller) -> list[Choice]:
        _require(sees_all(who), who)
        return await choices(kit, "senders", asked.q)

    @router.post("/api/choose/recipients")
    async def recipients(asked: Asked, who: Principal = Caller) -> list[Choice]:
        _require(sees_all(who), who)
        return await choices(kit, "recipients", asked.q)

    @router.post("/api/choose/colleagues")
    async def colleagues(asked: Asked, who: Principal = Caller) -> list[Choice]:
        _require(is_physician(who), who)
        return await choices(kit, "colleagues", asked.q)

    return router


def _require(allowed: bool, who: Principal) -> None:
    """Raises Forbidden, also for who came by a link."""
    if not allowed or who.kind != "account":
        raise Forbidden("not-allowed", "Only people of the hospital can look for others here.")
