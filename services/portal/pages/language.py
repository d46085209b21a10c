"""Choosing the language of the pages by hand."""

from fastapi import APIRouter, Request, Response

from services.portal.pages.forms import is_secure, read_form, text
from services.portal.pages.frame import LANGUAGE_COOKIE, local_path, see_other
from services.portal.texts import LANGUAGES

_YEAR_S = 31_536_000


def routes() -> APIRouter:
    router = APIRouter(tags=["pages"], include_in_schema=False)

    @router.post("/language")
    async def choose(request: Request) -> Response:
        form = await read_form(request)
        answer = see_other(request, local_path(text(form, "next", 1000)))
        if (language := text(form, "language")) in LANGUAGES:
            answer.set_cookie(
                LANGUAGE_COOKIE,
                language,
                max_age=_YEAR_S,
                path="/",
                httponly=True,
                samesite="lax",
                secure=is_secure(request),
            )
        return answer

    return router
