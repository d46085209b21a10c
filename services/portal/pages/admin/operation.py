"""What runs underneath: the patient feed, queues and dead letters."""

from fastapi import APIRouter, Request, Response

from kit.identity import Principal
from kit.service import Kit
from services.portal.accounts import record
from services.portal.pages.admin.desk import Administrator, show
from services.portal.pages.forms import read_form, text
from services.portal.pages.frame import language_of, see_other
from services.portal.rules.queues import group_name, topic_name
from services.portal.texts.bycode import sayings_for_scripts


def add(router: APIRouter, kit: Kit) -> None:
    @router.get("/feed")
    async def feed(request: Request, who: Principal = Administrator) -> Response:
        return await show(request, who, "feed")

    @router.get("/queues")
    async def queues(request: Request, who: Principal = Administrator) -> Response:
        lag = [(group, topic, events) for (group, topic), events in (await kit.bus.lag()).items() if events]
        letters = await kit.bus.dead_letters(limit=500)
        texts = sayings_for_scripts(language_of(request, who))
        return await show(
            request,
            who,
            "queues",
            lag=sorted(lag),
            letters=letters,
            texts=texts,
            topic_name=topic_name,
            group_name=group_name,
        )

    @router.post("/queues/replay")
    async def replay(request: Request, who: Principal = Administrator) -> Response:
        form = await read_form(request)
        letter = text(form, "letter", 64)
        await record(kit, who, "replayed", "dead-letter", letter)
        await kit.bus.replay(letter)
        return see_other(request, "/admin/queues", "It is delivered again, to the part it failed in alone.")
