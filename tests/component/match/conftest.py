"""A running match service on a real bus and real documents, with its MLLP door on a free port."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from kit.hl7.client import MllpClient
from kit.ids import derived_id
from kit.service import Kit, Service
from schemas.match import StudyMatched, StudyUnmatched
from schemas.shapes import Demographics, Match, Sender, Study
from schemas.validate import StudyArrived, StudyUpdated
from services.match import app
from services.match.documents import MATCHES, ORDERS, PATIENTS, Patient
from services.match.rules.facts import patient_key
from services.match.settings import MatchSettings
from tests.conftest import settle


@dataclass
class Running:
    kit: Kit
    service: Service
    port: int

    async def send(self, *messages: str | bytes) -> list[str]:
        """The acknowledgement codes; everything that follows has happened."""
        async with MllpClient("127.0.0.1", self.port) as client:
            codes = [(await client.send(message)).code for message in messages]
        await settle(self.kit)
        return codes

    async def patient(self, patient_id: str, issuer: str = "HOSPITAL") -> Patient | None:
        return await self.kit.documents.get(PATIENTS, patient_key(issuer, patient_id))

    async def orders(self) -> list[Any]:
        return (await self.kit.documents.find(ORDERS)).items

    async def study(self, study_id: str = "s1", revision: int = 1, **content: Any) -> Match:
        """A study comes; what its matching came to."""
        study = a_study(study_id, revision, **content)
        kind = StudyArrived if revision == 1 else StudyUpdated
        event = kind.first(
            time=datetime.now(UTC),
            key=study_id,
            correlation_id=derived_id(study_id),
            step=str(revision),
            study=study,
        )
        await self.kit.bus.publish([event])
        await settle(self.kit)
        return await self.match(study_id)

    async def match(self, study_id: str = "s1") -> Match:
        record = await self.kit.documents.get(MATCHES, study_id)
        assert record is not None
        assert record.match is not None
        return record.match

    async def said(self) -> list[Match]:
        """All that was published about matches, in order."""
        topics = (StudyMatched.topic, StudyUnmatched.topic)
        return [event.match for _, event in await self.kit.bus.read(topics=topics, limit=1000)]  # type: ignore[attr-defined]


def a_study(
    study_id: str,
    revision: int = 1,
    *,
    patient_id: str = "X9",
    issuer: str = "",
    name: str = "Muster^Anna",
    birth: str = "19700203",
    sex: str = "F",
    **content: Any,
) -> Study:
    now = datetime.now(UTC)
    return Study(
        id=study_id,
        revision=revision,
        origin="clinic",
        sender=Sender(id="clinic", name="Clinic", origin="clinic"),
        study_instance_uid=content.pop("uid", "1.2.3.4"),
        patient=Demographics(patient_id=patient_id, issuer=issuer, name=name, birth_date=birth, sex=sex),
        arrived_at=now,
        updated_at=now,
        **content,
    )


@pytest.fixture
async def running(kit_env: Kit) -> AsyncIterator[Running]:
    service = app.build(kit_env, MatchSettings(hl7_host="127.0.0.1", hl7_port=0))
    await kit_env.bus.start()
    for start in service.start:
        await start()
    yield Running(kit_env, service, port_of(service))
    for stop in service.stop:
        await stop()


def port_of(service: Service) -> int:
    """The door says where it listens only to administrators: taken from what stops it."""
    server: Any = service.stop[0].__self__  # type: ignore[attr-defined]
    return int(server.port)
