"""The inbox over 1,000,000 studies on one machine: lists, filters, searches and counts, as pages ask."""

import asyncio
import random
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from anteroom.embedded import open_embedded
from bench.result import Result
from kit.access import AUDIENCES, Audience
from kit.identity import Account, Principal, Role
from kit.service import Kit, Site
from schemas.shapes import (
    Candidate,
    Demographics,
    Match,
    PackRef,
    Sender,
    SeriesSummary,
    Study,
)
from services.portal.models import CASES, Case, Stage
from services.portal.rules.search import tokens
from services.portal.worklist import Filter, counts, rows

CASES_COUNT = 1_000_000
QUERIES = 2_000
CLINICS = 200
_CHUNK = 5_000
_NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
_OVERDUE = timedelta(hours=24)
_PEOPLE = 5_000
"""Different family names and given names."""

_CLERK = Principal(Account(id="clerk", name="Clerk", roles=[Role.APPROVE]))


def run(count: int = CASES_COUNT) -> Iterator[Result]:
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        yield asyncio.run(_measured(Path(name), count))


async def _measured(folder: Path, count: int) -> Result:
    opened = open_embedded(folder, Site())
    try:
        await _fill(opened.kit, count)
        took: dict[str, list[float]] = defaultdict(list)
        chance = random.Random(11)
        for _ in range(QUERIES):
            kind, query = _query(opened.kit, chance, count)
            start = time.perf_counter()
            await query()
            took[kind].append((time.perf_counter() - start) * 1000)
    finally:
        await opened.close()
    everything = [one for times in took.values() for one in times]
    notes = {kind: f"p95 {_p95(times):.1f} ms of {len(times)}" for kind, times in sorted(took.items())}
    result = Result("inbox-1m-studies", "ms at p95", "lower", target=50, notes={"studies": count, **notes})
    result.runs.append({"ours": _p95(everything), "median": statistics.median(everything)})
    return result


def _p95(times: list[float]) -> float:
    return statistics.quantiles(times, n=20)[-1] if len(times) > 1 else times[0]


def _query(kit: Kit, chance: random.Random, count: int) -> tuple[str, Callable[[], Awaitable[object]]]:
    """One of the questions pages ask, each about as often as the others."""
    person = chance.randrange(count)
    given, family = _name(person)
    clinic = f"clinic{chance.randrange(CLINICS)}"
    sender = Principal(Account(id=clinic, name=clinic, roles=[Role.SEND, Role.VIEW]))
    tab = chance.choice(("open", "unmatched", "review", "flagged", "failed", "in-pacs", "all"))
    filters: dict[str, Filter] = {
        "tab": Filter(tab=tab),
        "tab and sender": Filter(tab=tab, sender=clinic),
        "tab and modality": Filter(tab=tab, modality=chance.choice(("CT", "MR", "US"))),
        "age": Filter(tab=tab, age=chance.choice(("day", "week", "older", "overdue"))),
        "all at once": Filter(tab=tab, sender=clinic, modality="MR", age="older"),
        "family name": Filter(tab="all", q=family),
        "beginning of a name": Filter(tab="all", q=family[:4]),
        "whole name": Filter(tab="all", q=f"{given} {family}"),
        "open by name": Filter(tab="open", q=family),
        "patient ID": Filter(tab="all", q=f"P{person:08d}"),
        "accession number": Filter(tab="all", q=f"A{person:09d}"),
        "no such name": Filter(tab="all", q="Nobodyofthisname"),
        "two letters": Filter(tab="all", q=family[:2]),
    }
    kind = chance.choice((*filters, "counts", "second page", "a clinic's own"))
    if kind == "counts":
        return kind, lambda: counts(kit, _CLERK)
    if kind == "second page":

        async def pages() -> None:
            first = await rows(kit, _CLERK, Filter(tab=tab), _OVERDUE, None)
            await rows(kit, _CLERK, Filter(tab=tab), _OVERDUE, first.cursor)

        return kind, pages
    if kind == "a clinic's own":
        return kind, lambda: rows(kit, sender, Filter(tab="all"), _OVERDUE, None)
    return kind, lambda: rows(kit, _CLERK, filters[kind], _OVERDUE, None)


async def _fill(kit: Kit, count: int) -> None:
    chance = random.Random(7)
    start = time.monotonic()
    for first in range(0, count, _CHUNK):
        cases = [_case(number, count, chance) for number in range(first, min(first + _CHUNK, count))]
        await kit.documents.insert_many(CASES, cases)
        await kit.documents.insert_many(
            AUDIENCES,
            [Audience(id=c.id, keys=[f"account:{c.sender_id}"], arrived_at=c.arrived_at) for c in cases],
        )
        if first % (_CHUNK * 20) == 0:
            sys.stdout.write(f"  {first + len(cases)} studies after {time.monotonic() - start:.0f} s\n")
            sys.stdout.flush()


def _name(number: int) -> tuple[str, str]:
    chance = random.Random(number)
    return _word(chance.randrange(_PEOPLE) + _PEOPLE), _word(int(chance.paretovariate(0.7)) % _PEOPLE)


def _word(number: int) -> str:
    """A name of syllables, another for each number."""
    syllables = ("ba", "re", "mi", "lo", "ku", "sen", "dor", "gal", "win", "tha")
    return "".join(syllables[int(digit)] for digit in f"{number:04d}").capitalize()


def _case(number: int, count: int, chance: random.Random) -> Case:
    given, family = _name(number)
    arrived = _NOW - timedelta(seconds=(count - number) * 30)
    state = "in-pacs" if chance.random() < 0.98 else chance.choice(("unmatched", "review", "failed", "asked"))
    modality = chance.choice(("CT", "CT", "MR", "US", "CR", "XA"))
    clinic = f"clinic{int(chance.paretovariate(0.5)) % CLINICS}"
    study_id = f"{number:032x}"
    patient = Demographics(
        patient_id=f"P{number:08d}", issuer=clinic, name=f"{family}^{given}", birth_date="19700102", sex="F"
    )
    sender = Sender(id=clinic, name=f"Clinic {clinic}", origin=clinic)
    submission = f"{number:032x}"
    common: dict[str, Any] = {"batch_id": submission, "submission_id": submission}
    study = Study(
        id=study_id,
        revision=1,
        origin=clinic,
        sender=sender,
        study_instance_uid=f"2.25.{10**36 + number}",
        patient=patient,
        accession_number=f"A{number:09d}",
        study_date="20260101",
        study_time="101500",
        description="Chest with contrast",
        modalities=(modality,),
        series=tuple(
            SeriesSummary(
                series_instance_uid=f"2.25.{10**36 + number * 4 + n}",
                modality=modality,
                number=str(n),
                description="1.0 B30f",
                instances=100,
            )
            for n in range(3)
        ),
        packs=(
            PackRef(
                id=study_id,
                key=f"studies/{study_id}/{study_id}.dcm",
                index_key=f"studies/{study_id}/{study_id}.idx",
                instances=300,
                bytes=150_000_000,
                sha256="0" * 64,
                **common,
            ),
        ),
        submissions=(submission,),
        instances=300,
        bytes=150_000_000,
        arrived_at=arrived,
        updated_at=arrived,
    )
    candidate = Candidate(patient_key=f"k{number}", patient=patient, score=0.97)
    return Case(
        id=study_id,
        state=state,
        arrived_at=arrived,
        updated_at=arrived,
        sender_id=clinic,
        correlation_id=submission,
        study=study,
        match=Match(
            study_id=study_id, study_revision=1, revision=1, state="matched", chosen=candidate, candidates=()
        ),
        timeline=[
            Stage(key=stage, stage=stage, time=arrived)
            for stage in ("received", "viewable", "matched", "approved", "in-pacs")
        ],
        modality=modality,
        open=state != "in-pacs",
        flagged=chance.random() < 0.03,
        tokens=tokens(study),
    )
