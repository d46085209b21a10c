"""QIDO-RS: searching studies, series and instances, below a study or among all (PS3.18 10.6)."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response

from kit.documents.port import Documents, HasPrefix, In, Range, Scalar
from kit.errors import NotFound
from kit.service import Kit
from services.view.answers import short_text
from services.view.library import Library, Located
from services.view.models import ROW_FIELDS, STUDIES, ViewStudy
from services.view.rules.accept import NotAcceptable, first_of, ranges
from services.view.rules.attributes import Attributes, attribute, by_number, instance_attributes, name_words
from services.view.rules.choosing import middle_of
from services.view.rules.matching import Query, folded, matches, parse
from services.view.scopes import InScope, Scope, ids_within
from services.view.settings import ViewSettings
from services.view.viewed import Views

JSON = "application/dicom+json"
_Condition = Scalar | HasPrefix | Range | In
_INCLUDE_NOTHING = frozenset({"00081190"})


@dataclass(frozen=True)
class Found:
    rows: list[Attributes]
    more: bool = False
    """Whether there are further results behind this page."""


def routes(kit: Kit, library: Library, views: Views, settings: ViewSettings) -> APIRouter:
    router = APIRouter()
    search = Search(kit, library, views, settings)

    def query(request: Request) -> Query:
        taken = ranges(request.headers.getlist("accept"), request.query_params.get("accept", ""))
        if first_of(taken, (JSON, "application/json")) is None:
            raise NotAcceptable("Results are had as application/dicom+json.")
        return parse(request.query_params.multi_items(), settings.query_limit)

    @router.get("/studies")
    async def studies(request: Request, scope: InScope) -> Response:
        asked = query(request)
        return _page(request, await search.studies(scope, asked))

    @router.get("/series")
    async def all_series(request: Request, scope: InScope) -> Response:
        asked = query(request)
        return _page(request, await _paged(search.series(scope, search.all(scope, asked), asked), asked))

    @router.get("/instances")
    async def all_instances(request: Request, scope: InScope) -> Response:
        asked = query(request)
        rows = search.instances(scope, search.all(scope, asked), asked, None)
        return _page(request, await _paged(rows, asked))

    @router.get("/studies/{study}/series")
    async def series(study: str, request: Request, scope: InScope) -> Response:
        asked = query(request)
        return _page(request, await _paged(search.series(scope, search.one(scope, study), asked), asked))

    @router.get("/studies/{study}/instances")
    async def study_instances(study: str, request: Request, scope: InScope) -> Response:
        asked = query(request)
        rows = search.instances(scope, search.one(scope, study), asked, None)
        return _page(request, await _paged(rows, asked))

    @router.get("/studies/{study}/series/{series}/instances")
    async def series_instances(study: str, series: str, request: Request, scope: InScope) -> Response:
        asked = query(request)
        rows = search.instances(scope, search.one(scope, study), asked, series)
        return _page(request, await _paged(rows, asked))

    return router


class Search:
    """Searching is not looking and is not recorded, but what has to be read out of images' headers is."""

    def __init__(self, kit: Kit, library: Library, views: Views, settings: ViewSettings) -> None:
        self._documents: Documents = kit.documents
        self._objects = kit.objects
        self._library = library
        self._views = views
        self._most = settings.search_limit

    async def studies(self, scope: Scope, query: Query) -> Found:
        """Newest study date first. The index narrows what it can, the rest is matched row by row."""
        where = await self._where(scope, query)
        if where is None:
            return Found([])
        rows = await self._documents.project(
            STUDIES, ROW_FIELDS, where, order="study_date", descending=True, limit=self._most
        )
        fit = [row for row in rows if matches(row["attributes"], query.conditions, fuzzy=query.fuzzy)]
        page = fit[query.offset : query.offset + query.limit]
        found = [
            {**row["attributes"], "00081190": _address(scope, row["id"], _uid(row["attributes"], "0020000D"))}
            for row in page
        ]
        return Found(found, len(fit) > query.offset + query.limit or len(rows) >= self._most)

    async def one(self, scope: Scope, study_uid: str) -> AsyncIterator[ViewStudy]:
        for study in await self._library.studies(scope, study_uid):
            yield study

    async def all(self, scope: Scope, query: Query) -> AsyncIterator[ViewStudy]:
        """The studies a search over series or images goes through, newest first, so far as conditions
        about the study hold."""
        where = await self._where(scope, query)
        if where is None:
            return
        rows = await self._documents.project(
            STUDIES, ROW_FIELDS, where, order="study_date", descending=True, limit=self._most
        )
        for row in rows:
            about = {tag: value for tag, value in query.conditions.items() if tag in row["attributes"]}
            if matches(row["attributes"], about, fuzzy=query.fuzzy):
                study = await self._documents.get(STUDIES, row["id"])
                if study is not None:
                    yield study

    async def series(
        self, scope: Scope, studies: AsyncIterator[ViewStudy], query: Query
    ) -> AsyncIterator[Attributes]:
        async for study in studies:
            known: dict[str, Attributes] = {
                uid: {**study.attributes, **attributes} for uid, attributes in study.series.items()
            }
            needs = query.needs(
                {tag for attributes in known.values() for tag in attributes} | _INCLUDE_NOTHING
            )
            if needs:
                known = await self._with_headers(study, known)
            for uid, attributes in known.items():
                if matches(attributes, query.conditions, fuzzy=query.fuzzy):
                    if needs:
                        await self._views.note(scope, study)
                    own = study.series[uid]
                    row = _shown(attributes, own, query)
                    row["00081190"] = _address(scope, study.id, study.study_instance_uid, uid)
                    yield row

    async def instances(
        self, scope: Scope, studies: AsyncIterator[ViewStudy], query: Query, series_uid: str | None
    ) -> AsyncIterator[Attributes]:
        async for study in studies:
            try:
                located = await self._library.instances(study, series_uid)
            except NotFound:
                continue
            ordered = by_number(located)
            rows = [instance_attributes(study.study_instance_uid, one.entry) for one in ordered]
            needs = query.needs({*study.attributes, *(rows[0] if rows else ()), *_series_tags(study)})
            for own, one in zip(rows, ordered, strict=True):
                about = study.series.get(one.entry.series_instance_uid, {})
                full = {**study.attributes, **about, **own}
                if needs:
                    full = {**await self._header(one), **full}
                if matches(full, query.conditions, fuzzy=query.fuzzy):
                    if needs:
                        await self._views.note(scope, study)
                    row = _shown(full, own, query)
                    row["00081190"] = _address(
                        scope,
                        study.id,
                        study.study_instance_uid,
                        one.entry.series_instance_uid,
                        one.entry.sop_instance_uid,
                    )
                    yield row

    async def _where(self, scope: Scope, query: Query) -> dict[str, _Condition] | None:
        """None: nothing can be found."""
        ids = await ids_within(self._documents, scope)
        where = _indexed(query)
        if ids is not None:
            if not ids:
                return None
            where["id"] = In(ids)
        return where

    async def _with_headers(self, study: ViewStudy, known: dict[str, Attributes]) -> dict[str, Attributes]:
        """With what one image of each series says besides."""
        by_series: dict[str, list[Located]] = {}
        for one in await self._library.instances(study):
            by_series.setdefault(one.entry.series_instance_uid, []).append(one)
        return {
            uid: {**(await self._header(middle_of(by_series[uid])) if uid in by_series else {}), **attributes}
            for uid, attributes in known.items()
        }

    async def _header(self, one: Located) -> Attributes:
        text = await asyncio.to_thread(one.index.header_json, self._objects, one.entry.position)
        header: Attributes = orjson.loads(text)
        return {tag: value for tag, value in header.items() if "BulkDataURI" not in value}


async def _paged(rows: AsyncIterator[Attributes], query: Query) -> Found:
    """No more is looked at than the page takes, and whether one more is there."""
    found: list[Attributes] = []
    passed = 0
    async for row in rows:
        if passed < query.offset:
            passed += 1
        elif len(found) < query.limit:
            found.append(row)
        else:
            return Found(found, more=True)
    return Found(found)


def _series_tags(study: ViewStudy) -> set[str]:
    return {tag for attributes in study.series.values() for tag in attributes}


def _shown(full: Attributes, own: Attributes, query: Query) -> Attributes:
    """The level's own attributes, those that conditions and includefield name, or everything."""
    if query.everything:
        return dict(full)
    named = {tag.partition(".")[0] for tag in (*query.conditions, *query.fields)}
    return {**own, **{tag: full[tag] for tag in sorted(named) if tag in full}}


def _indexed(query: Query) -> dict[str, _Condition]:
    """Conditions an index answers, no narrower than the query."""
    conditions = query.conditions
    where: dict[str, _Condition] = {}
    for tag, name in (
        ("0020000D", "study_instance_uid"),
        ("00100020", "patient_id"),
        ("00080050", "accession_number"),
    ):
        value = conditions.get(tag, "")
        if value and tag == "0020000D" and set(value) & set(",\\"):
            where[name] = In(value.replace("\\", ",").split(",")[:1000])
        elif value and not set(value) & set("*?,\\"):
            where[name] = value
    date = conditions.get("00080020", "")
    if date:
        low, dash, high = date.partition("-")
        where["study_date"] = Range(low or None, (high if dash else date) + "~" if high or not dash else None)
    word = _first_word(conditions.get("00100010", ""), fuzzy=query.fuzzy)
    if word:
        where["words"] = HasPrefix(word)
    return where


def _first_word(name: str, *, fuzzy: bool) -> str:
    """A word that a word of the name begins with, whatever else is asked; empty: none is known."""
    if fuzzy:
        return next(iter(name_words(folded(name.replace("*", " ").replace("?", " ")))), "")
    words = [word for word in name_words(name) if not set(word) & set("*?")]
    if not words:
        first = name.split("*")[0]
        words = name_words(first)[:1] if first and "?" not in first else []
    return words[0] if words else ""


def _address(
    scope: Scope, study_id: str, study_uid: str, series_uid: str = "", sop_uid: str = ""
) -> Mapping[str, Any]:
    """Retrieve URL: below the study's own root, so that it stays clear which study is meant."""
    url = f"{scope.of_study(study_id)}/studies/{study_uid}"
    if series_uid:
        url += f"/series/{series_uid}"
    if sop_uid:
        url += f"/instances/{sop_uid}"
    return attribute("UR", url)


def _uid(row: Attributes, tag: str) -> str:
    return str(row[tag]["Value"][0])


def _page(request: Request, found: Found) -> Response:
    """An empty list for no result (PS3.18 10.6.3.2 allows that or 204; viewers take the list more kindly)."""
    content = orjson.dumps(found.rows)
    answer = short_text(request, content, JSON)
    if found.more:
        answer.headers["warning"] = '299 anteroom "There are additional results that can be requested"'
    return answer
