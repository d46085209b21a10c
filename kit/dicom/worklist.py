"""Asking a modality worklist (PS3.4 K) who a study may belong to."""

import asyncio
from collections.abc import Iterable
from contextlib import aclosing
from dataclasses import dataclass

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from kit.dicom.network import PLAIN, WORKLIST_FIND, Association, Context, Timeouts
from kit.errors import Unavailable
from schemas.shapes import Demographics, Order

MOST_ITEMS = 200
"""Some worklists ignore matching keys and answer with everything, or over and over: no more is read."""

_PATIENCE = 4
"""Times the timeout of one answer that all of them together may take."""
_KEYS = ("PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID")
_ORDER_KEYS = (
    "RequestedProcedureID",
    "RequestedProcedureDescription",
    "PlacerOrderNumberImagingServiceRequest",
    "FillerOrderNumberImagingServiceRequest",
)
_STEP_KEYS = (
    "Modality",
    "ScheduledStationAETitle",
    "ScheduledProcedureStepStartDate",
    "ScheduledProcedureStepStartTime",
    "ScheduledProcedureStepDescription",
    "ScheduledProcedureStepID",
)


@dataclass(frozen=True)
class Worklist:
    host: str
    port: int
    called_ae: str
    calling_ae: str
    timeout: float = 30


@dataclass(frozen=True)
class WorklistItem:
    patient: Demographics
    order: Order


async def find_items(
    worklist: Worklist, *, accession_number: str = "", names: Iterable[str] = ()
) -> list[WorklistItem]:
    """Scheduled steps with this accession number, and of patients with one of these names (PN, may hold
    wildcards); at most MOST_ITEMS. Raises Unavailable (AssociationFailed, or a query refused)."""
    queries = [_query(accession_number, "")] if accession_number else []
    queries += [_query("", name) for name in names]
    if not queries:
        return []
    try:
        async with asyncio.timeout(_PATIENCE * worklist.timeout):
            return await _ask(worklist, queries)
    except TimeoutError:
        raise Unavailable("worklist", "it did not come to an end") from None


async def _ask(worklist: Worklist, queries: list[Dataset]) -> list[WorklistItem]:
    limit = worklist.timeout
    found: dict[WorklistItem, None] = {}
    read = 0
    async with await Association.request(
        worklist.host,
        worklist.port,
        called_ae=worklist.called_ae,
        calling_ae=worklist.calling_ae,
        contexts=[Context(WORKLIST_FIND, PLAIN)],
        timeouts=Timeouts(connect=limit, association=limit, response=limit),
    ) as association:
        for query in queries:
            async with aclosing(association.c_find(WORKLIST_FIND, query)) as answers:
                async for answer in answers:
                    found.update(dict.fromkeys(_items(answer)))
                    read += 1
                    if max(read, len(found)) >= MOST_ITEMS:
                        return list(found)[:MOST_ITEMS]
    return list(found)


def _query(accession_number: str, name: str) -> Dataset:
    query = Dataset()
    for key in (*_KEYS, *_ORDER_KEYS):
        setattr(query, key, "")
    query.AccessionNumber = accession_number
    query.PatientName = name
    step = Dataset()
    for key in _STEP_KEYS:
        setattr(step, key, "")
    query.ScheduledProcedureStepSequence = Sequence([step])
    return query


def _items(answer: Dataset) -> list[WorklistItem]:
    """One for each scheduled step of an answer."""
    patient = Demographics(
        patient_id=_text(answer, "PatientID"),
        issuer=_text(answer, "IssuerOfPatientID"),
        name=_text(answer, "PatientName", 324),
        birth_date=_text(answer, "PatientBirthDate"),
        sex=_text(answer, "PatientSex"),
    )
    steps = answer.get("ScheduledProcedureStepSequence") or [Dataset()]
    return [
        WorklistItem(
            patient,
            Order(
                accession_number=_text(answer, "AccessionNumber"),
                requested_procedure_id=_text(answer, "RequestedProcedureID"),
                requested_procedure_description=_text(answer, "RequestedProcedureDescription"),
                scheduled_step_id=_text(step, "ScheduledProcedureStepID"),
                scheduled_step_description=_text(step, "ScheduledProcedureStepDescription"),
                study_instance_uid=_text(answer, "StudyInstanceUID"),
                modality=_text(step, "Modality"),
                scheduled_at=_text(step, "ScheduledProcedureStepStartDate")
                + _text(step, "ScheduledProcedureStepStartTime").partition(".")[0],
                placer_order_number=_text(answer, "PlacerOrderNumberImagingServiceRequest"),
                filler_order_number=_text(answer, "FillerOrderNumberImagingServiceRequest"),
            ),
        )
        for step in steps
    ]


def _text(dataset: Dataset, keyword: str, most: int = 64) -> str:
    value = dataset.get(keyword)
    return "" if value is None else str(value).strip()[:most]
