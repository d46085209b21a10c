"""Many patients alike, many studies waiting, and settings that can't be."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from kit.errors import PermanentError
from kit.hl7.server import MllpServer
from kit.service import Kit
from schemas.shapes import Demographics
from services.match import app
from services.match.documents import PATIENTS, Held, Patient
from services.match.settings import MatchSettings
from tests.component.match.conftest import Running
from tests.component.match.samples import adt
from tests.counting import calls


def _patient(number: int, birth: str) -> Patient:
    patient = Patient(
        id=f"p{number}",
        held=[Held(value=f"{number}", issuer="HOSPITAL")],
        name="Smith^John",
        birth_date=birth,
        sex="M",
    )
    patient.index()
    return patient


async def test_endless_values_of_a_file_cost_little(running: Running) -> None:
    crowd = [_patient(number, "19700101") for number in range(100)]
    await running.kit.documents.insert_many(PATIENTS, crowd)
    endless = "Smith" * 40_000
    others = tuple(Demographics(patient_id=f"{n}", name=f"{endless}{n}^John") for n in range(30))
    with calls() as work:
        match = await running.study(
            name=f"{endless}^John", birth="19700101", patient_id="7" * 200_000, other_patients=others
        )
    assert match.state == "unmatched"
    assert work.count < 2_000_000


async def test_common_name_stays_bounded(running: Running) -> None:
    births = [f"{1930 + number % 70}{number % 12 + 1:02}{number % 28 + 1:02}" for number in range(2000)]
    crowd = [_patient(number, birth) for number, birth in enumerate(births)]
    await running.kit.documents.insert_many(PATIENTS, crowd)
    match = await running.study(name="Smith^John", birth="19010203", sex="M")
    assert match.state == "unmatched"
    assert len(match.candidates) <= 10
    known = await running.study(
        "s2", name="Smith^John", birth=births[7], sex="M", patient_id="7", issuer="HOSPITAL"
    )
    assert known.rule == "issuer+id"


async def test_many_of_the_same_name_and_birth_date_are_never_certain(running: Running) -> None:
    crowd = [_patient(number, "19700203") for number in range(300)]
    await running.kit.documents.insert_many(PATIENTS, crowd)
    match = await running.study(name="Smith^John", birth="19700203", sex="M")
    assert match.state == "unmatched"
    assert len(match.candidates) == 10


async def test_many_waiting_studies_are_tried_again(running: Running) -> None:
    for number in range(40):
        await running.study(f"s{number}")
    await running.send(adt())
    for number in range(40):
        assert (await running.match(f"s{number}")).state == "matched"


def test_settings_that_can_not_be_are_refused(kit_env: Kit, tmp_path: Path) -> None:
    with pytest.raises(ValidationError):
        MatchSettings(hl7_allow=["the intranet"])
    with pytest.raises(PermanentError, match="hl7_tls_certificate"):
        app.build(kit_env, MatchSettings(hl7_tls_certificate=tmp_path / "none.pem"))


async def test_port_in_use_is_said(running: Running, tmp_path: Path) -> None:
    async def nothing(_: object) -> list[str]:
        return []

    with pytest.raises(OSError, match="in use"):
        await MllpServer(nothing).start("127.0.0.1", running.port)
