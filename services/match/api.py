"""The HTTP API of match: what a study came to, the local patients, the feed."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, Field

from kit.documents.port import Documents
from kit.errors import NotFound
from kit.hl7.server import MllpServer
from kit.identity import Principal, Role
from kit.service import Caller
from schemas.shapes import Demographics, Match, Order
from services.match.documents import MATCHES, PATIENTS
from services.match.index import PatientIndex
from services.match.mllp import Hl7Door

_COUNTED = 100_000


class FoundOrder(BaseModel):
    order_key: str
    order: Order


class FoundPatient(BaseModel):
    patient_key: str
    patient: Demographics
    orders: list[FoundOrder]


class FoundPatients(BaseModel):
    patients: list[FoundPatient]


class PatientSearch(BaseModel):
    q: Annotated[str, Field(min_length=2, max_length=100)]
    limit: Annotated[int, Field(ge=1, le=50)] = 20


class FeedView(BaseModel):
    """Counts since the start of the process; `patients` counts no further than 100,000."""

    listening: bool
    port: int
    connections: int
    last_message_at: datetime | None
    accepted: int
    errors: int
    rejected: int
    by_type: dict[str, int]
    patients: int


def routes(documents: Documents, door: Hl7Door, server: MllpServer) -> APIRouter:
    router = APIRouter(prefix="/api", tags=["match"])
    index = PatientIndex(documents)

    @router.get("/matches/{study_id}")
    async def match_of_study(study_id: str, caller: Principal = Caller) -> Match:
        """Which local patient the study belongs to, or who it may be."""
        caller.require(Role.APPROVE)
        found = await documents.get(MATCHES, study_id)
        if found is None or found.match is None:
            raise NotFound("no-match", "There is no study with that id, or it was not looked at yet.")
        return found.match

    @router.post("/patients/search")
    async def search_patients(search: PatientSearch, caller: Principal = Caller) -> FoundPatients:
        """Local patients by the beginning of their ID, or of the words of their name, which stand in no
        address."""
        caller.require(Role.APPROVE)
        patients = await index.search(search.q, search.limit)
        orders = await index.orders(patient.key for patient in patients)
        return FoundPatients(
            patients=[
                FoundPatient(
                    patient_key=patient.key,
                    patient=patient.patient,
                    orders=[
                        FoundOrder(order_key=local.key, order=local.order)
                        for local in orders.get(patient.key, [])
                    ],
                )
                for patient in patients
            ]
        )

    @router.get("/feed")
    async def feed_status(caller: Principal = Caller) -> FeedView:
        """Whether patient data arrive; nothing of any patient."""
        caller.require(Role.ADMIN)
        return FeedView(
            listening=server.listening,
            port=server.port,
            connections=server.connections,
            patients=await documents.count(PATIENTS, cap=_COUNTED),
            **asdict(door.status),
        )

    return router
