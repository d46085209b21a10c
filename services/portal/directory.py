"""Whom a sender can choose as recipient: people who may see images, and departments. No addresses."""

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from kit.errors import Forbidden
from kit.identity import Principal, Role
from kit.service import Caller, Kit
from services.portal.people.finding import find_departments, find_recipients

_SHOWN = 12


class Asked(BaseModel):
    """In the body: what is typed is somebody's name, and addresses end up in logs."""

    model_config = ConfigDict(extra="forbid")
    q: str = Field(default="", max_length=100)


class Addressee(BaseModel):
    """Somebody to send to: a person by `account_id`, or a department by its name."""

    name: str
    account_id: str = ""
    department: str = ""
    title: str = ""


class Directory(BaseModel):
    people: list[Addressee]


def routes(kit: Kit) -> APIRouter:
    router = APIRouter(prefix="/api", tags=["submissions"])

    @router.post("/directory/search")
    async def directory(asked: Asked, who: Principal = Caller) -> Directory:
        """To whom images may be sent. Not for those who came by a link: theirs are set already."""
        who.require(Role.SEND)
        if who.kind != "account":
            raise Forbidden("not-allowed", "A link is addressed already.")
        places = await find_departments(kit, asked.q, limit=_SHOWN)
        people = await find_recipients(kit, asked.q, limit=_SHOWN)
        found = [Addressee(name=name, department=name) for name in places]
        found += [
            Addressee(name=one.name, account_id=one.id, title=", ".join(one.departments[:3]))
            for one in people
        ]
        return Directory(people=found[:_SHOWN])

    return router
