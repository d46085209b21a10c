"""QIDO-RS: searching studies, series and instances (PS3.18 10.6)."""

from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response

from kit.documents.port import Documents, HasPrefix, Range, Scalar
from kit.identity import Principal
from kit.service import Caller, Kit
from services.view.library import Library, scope
from services.view.models import ROW_FIELDS, STUDIES
from services.view.rules.attributes import Attributes, attribute, by_number, instance_attributes, name_words
from services.view.rules.matching import Query, matches, parse
from services.view.settings import ViewSettings

MEDIA_TYPE = "application/dicom+json"
_Condition = Scalar | HasPrefix | Range


def routes(kit: Kit, library: Library, settings: ViewSettings) -> APIRouter:
    router = APIRouter(prefix="/dicomweb", tags=["dicomweb"])
    root = f"{kit.site.url.rstrip('/')}/dicomweb/studies"

    def query(request: Request) -> Query:
        return parse(request.query_params.multi_items(), settings.query_limit)

    @router.get("/studies")
    async def studies(request: Request, who: Principal = Caller) -> Response:
        asked = query(request)
        rows = await _studies(kit.documents, asked, scope(who), settings.search_limit)
        return _page(rows, asked, lambda row: f"{root}/{_uid(row, '0020000D')}")

    @router.get("/studies/{study}/series")
    async def series(study: str, request: Request, who: Principal = Caller) -> Response:
        asked = query(request)
        rows: dict[str, Attributes] = {}
        for one in await library.studies(who, study):
            for uid, attributes in one.series.items():
                rows.setdefault(uid, attributes)
        found = [row for row in rows.values() if matches(row, asked.conditions)]
        return _page(found, asked, lambda row: f"{root}/{study}/series/{_uid(row, '0020000E')}")

    async def list_instances(study: str, series: str | None, request: Request, who: Principal) -> Response:
        asked = query(request)
        located = await library.instances(who, study, series)
        entries = by_number(one.entry for one in located)
        rows = (instance_attributes(study, entry) for entry in entries)
        found = [row for row in rows if matches(row, asked.conditions)]

        def url(row: Attributes) -> str:
            return f"{root}/{study}/series/{_uid(row, '0020000E')}/instances/{_uid(row, '00080018')}"

        return _page(found, asked, url)

    @router.get("/studies/{study}/instances")
    async def study_instances(study: str, request: Request, who: Principal = Caller) -> Response:
        return await list_instances(study, None, request, who)

    @router.get("/studies/{study}/series/{series}/instances")
    async def series_instances(
        study: str, series: str, request: Request, who: Principal = Caller
    ) -> Response:
        return await list_instances(study, series, request, who)

    return router


async def _studies(
    documents: Documents, query: Query, visible: Mapping[str, str], most: int
) -> list[Attributes]:
    """Newest study date first. The index narrows what it can, the rest is matched row by row."""
    where: dict[str, _Condition] = {**visible, **_indexed(query.conditions)}
    rows = await documents.project(
        STUDIES, ROW_FIELDS, where, order="study_date", descending=True, limit=most
    )
    return [row["attributes"] for row in rows if matches(row["attributes"], query.conditions)]


def _indexed(conditions: Mapping[str, str]) -> dict[str, _Condition]:
    """Conditions an index answers, no narrower than the query."""
    where: dict[str, _Condition] = {}
    for tag, field in (
        ("0020000D", "study_instance_uid"),
        ("00100020", "patient_id"),
        ("00080050", "accession_number"),
    ):
        value = conditions.get(tag, "")
        if value and not set(value) & set("*?,\\"):
            where[field] = value
    date = conditions.get("00080020", "")
    if date:
        low, dash, high = date.partition("-")
        where["study_date"] = Range(low or None, high + "~" if high else None) if dash else date
    words = [word for word in name_words(conditions.get("00100010", "")) if not set(word) & set("*?")]
    if not words:
        first = conditions.get("00100010", "").split("*")[0]
        words = name_words(first)[:1] if first and "?" not in first else []
    if words:
        where["words"] = HasPrefix(words[0])
    return where


def _uid(row: Attributes, tag: str) -> str:
    return str(row[tag]["Value"][0])


def _page(rows: list[Attributes], query: Query, url: Any) -> Response:
    """204 for no result (PS3.18 10.6.3.2 allows an empty list too, which viewers take more kindly)."""
    page: Iterable[Attributes] = rows[query.offset : query.offset + query.limit]
    content = [{**row, "00081190": attribute("UR", url(row))} for row in page]
    return Response(orjson.dumps(content), media_type=MEDIA_TYPE)
