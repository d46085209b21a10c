"""Destinations: where approved studies go, and whether they answer."""

from typing import Any, Literal

from fastapi import APIRouter, Request, Response
from starlette.datastructures import FormData

from kit.destinations import Destination
from kit.errors import Refused
from kit.identity import Principal
from kit.service import Kit
from services.portal.destinations import (
    all_destinations,
    change_destination,
    destination_by,
    make_destination,
    remove_destination,
)
from services.portal.pages.admin.desk import Administrator, show
from services.portal.pages.forms import read_form, text
from services.portal.pages.frame import language_of, see_other
from services.portal.texts.bycode import sayings_for_scripts


def add(router: APIRouter, kit: Kit) -> None:
    async def page(
        request: Request, who: Principal, destination: Destination, *, new: bool, error: Refused | None = None
    ) -> Response:
        return await show(request, who, "destination", error=error, destination=destination, new=new)

    @router.get("/destinations")
    async def destinations(request: Request, who: Principal = Administrator) -> Response:
        found = await all_destinations(kit)
        texts = sayings_for_scripts(language_of(request, who))
        return await show(request, who, "destinations", destinations=found, texts=texts)

    @router.get("/destinations-new")
    async def new(request: Request, who: Principal = Administrator) -> Response:
        return await page(request, who, Destination(id="", calling_ae=kit.site.ae_title), new=True)

    @router.post("/destinations-new")
    async def make(request: Request, who: Principal = Administrator) -> Response:
        form = await read_form(request)
        destination = _typed(form, Destination(id=text(form, "name", 64)))
        try:
            await make_destination(kit, who, destination)
        except Refused as error:
            return await page(request, who, destination, new=True, error=error)
        return see_other(request, "/admin/destinations", "The destination is made. See whether it answers.")

    @router.get("/destinations/{name}")
    async def edit(request: Request, name: str, who: Principal = Administrator) -> Response:
        return await page(request, who, await destination_by(kit, name), new=False)

    @router.post("/destinations/{name}")
    async def save(request: Request, name: str, who: Principal = Administrator) -> Response:
        form = await read_form(request)
        before = await destination_by(kit, name)
        changed = _typed(form, before)
        try:
            await change_destination(kit, who, before, changed)
        except Refused as error:
            return await page(request, who, changed, new=False, error=error)
        return see_other(request, "/admin/destinations", "Saved.")

    @router.post("/destinations/{name}/remove")
    async def remove(request: Request, name: str, who: Principal = Administrator) -> Response:
        await read_form(request)
        destination = await destination_by(kit, name)
        try:
            await remove_destination(kit, who, destination)
        except Refused as error:
            return await page(request, who, destination, new=False, error=error)
        return see_other(request, "/admin/destinations", "The destination is removed.")


def _typed(form: FormData, destination: Destination) -> Destination:
    kind: Literal["dicom", "stow"] = "stow" if text(form, "kind") == "stow" else "dicom"
    port, wait = text(form, "port", 6), text(form, "commitment_timeout_s", 6)
    changes: dict[str, Any] = {
        "kind": kind,
        "host": text(form, "host", 255),
        "port": int(port) if port.isdecimal() else 0,
        "called_ae": text(form, "called_ae", 16),
        "calling_ae": text(form, "calling_ae", 16) or "ANTEROOM",
        "url": text(form, "url", 500),
        "tls": text(form, "tls") == "yes",
        "tls_ca": text(form, "tls_ca", 500),
        "commitment": text(form, "commitment") == "yes",
        "commitment_timeout_s": min(86_400, max(1, int(wait))) if wait.isdecimal() else 60,
    }
    return destination.model_copy(update=changes)
