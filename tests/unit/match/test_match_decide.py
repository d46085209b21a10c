"""When a study's identifiers decide its patient, and when they must not."""

from typing import Any

import pytest

from schemas.shapes import Demographics, Order
from services.match.rules.decide import Outcome, decide, differs, offer_orders
from services.match.rules.known import LocalOrder, LocalPatient, StudyIdentity, identifier_of

ANNA = Demographics(patient_id="4711", issuer="HOSPITAL", name="Muster^Anna", birth_date="19700203", sex="F")


def local(
    key: str = "k1", orders: tuple[LocalOrder, ...] = (), names: tuple[str, ...] = (), **change: Any
) -> LocalPatient:
    patient = ANNA.model_copy(update=change)
    return LocalPatient(key, patient, (identifier_of(patient),), (patient.name, *names), orders)


def study(**change: Any) -> StudyIdentity:
    outside = {
        name: change.pop(name)
        for name in ("others", "accession_number", "study_instance_uid", "modalities")
        if name in change
    }
    return StudyIdentity(ANNA.model_copy(update=change), **outside)


def accession(number: str = "A1", key: str = "o1", **more: str) -> LocalOrder:
    return LocalOrder(key, Order(accession_number=number, **more))


def rule(of: StudyIdentity, *patients: LocalPatient) -> str:
    return decide(of, patients).rule


def test_issuer_and_id_decide() -> None:
    assert rule(study(), local()) == "issuer+id"
    assert rule(study(sex="", name=""), local()) == "issuer+id"
    assert rule(study(birth_date=""), local()) == "issuer+id"
    assert rule(study(name="Muster-Berger^Anna"), local()) == "issuer+id"


@pytest.mark.parametrize(
    "change",
    [
        {"name": "Other^Person"},
        {"birth_date": "19850917"},
        {"birth_date": "19700204"},
        {"sex": "M"},
        {"name": "", "birth_date": ""},
        {"name": "Muster^Anne", "birth_date": ""},
    ],
)
def test_a_contradiction_bars_the_id(change: dict[str, str]) -> None:
    assert rule(study(**change), local()) == ""


def test_an_id_by_its_text_alone_decides_nothing() -> None:
    assert rule(study(issuer="", sex=""), local()) == ""
    assert rule(study(issuer="CLINIC", sex=""), local()) == ""
    outcome = decide(study(issuer="", name="Muster^A", sex=""), [local()])
    assert outcome.candidates[0].fields["id"] == 0.6


def test_two_holders_of_one_id_leave_it_open() -> None:
    assert rule(study(sex=""), local(), local("k2")) == ""


def test_unique_person_decides() -> None:
    assert rule(study(patient_id="X", issuer="CLINIC"), local()) == "name+birth+sex"
    assert (
        rule(study(patient_id=""), local(), local("k2", name="Else^Someone", patient_id="9"))
        == "name+birth+sex"
    )


@pytest.mark.parametrize(
    "rival",
    [
        {},
        {"name": "Muster^Anna^Maria"},
        {"name": "Muster^Anne"},
        {"sex": ""},
        {"birth_date": ""},
        {"birth_date": "1970"},
        {"name": "Anna^Muster"},
    ],
)
def test_somebody_alike_leaves_it_open(rival: dict[str, str]) -> None:
    assert rule(study(patient_id=""), local(), local("k2", patient_id="9", **rival)) == ""


@pytest.mark.parametrize(
    "rival", [{"sex": "M"}, {"birth_date": "19990101"}, {"name": "Muster^Xaver"}, {"birth_date": "19700204"}]
)
def test_somebody_else_does_not(rival: dict[str, str]) -> None:
    assert rule(study(patient_id=""), local(), local("k2", patient_id="9", **rival)) == "name+birth+sex"


def test_another_id_of_the_same_issuer_bars_the_person() -> None:
    assert rule(study(patient_id="4712"), local()) == ""
    assert "id" in decide(study(patient_id="4712"), [local()]).candidates[0].contradictions


@pytest.mark.parametrize(
    "change", [{"sex": ""}, {"birth_date": ""}, {"birth_date": "1970"}, {"name": "Muster"}]
)
def test_half_a_person_is_not_enough(change: dict[str, str]) -> None:
    assert rule(study(patient_id="", **change), local(**change)) == ""


@pytest.mark.parametrize(
    "name", ["BABY^BOY", "Unknown^Unknown", "Anonymous^Patient", "Muster^Newborn", "ANONYMIZED^X"]
)
def test_stand_ins_are_nobody(name: str) -> None:
    assert rule(study(patient_id="", name=name), local(name=name)) == ""


def test_accession_number_with_the_ordered_patient_decides() -> None:
    outcome = decide(
        study(patient_id="", sex="", accession_number=" a1 "),
        [local(orders=(accession(requested_procedure_id="R"),))],
    )
    assert outcome.rule == "accession"
    assert outcome.chosen is not None
    assert outcome.chosen.order_key == "o1"


@pytest.mark.parametrize(
    "change",
    [
        {"name": "Other^Person"},
        {"birth_date": ""},
        {"birth_date": "19700204"},
        {"sex": "M"},
        {"patient_id": "1"},
    ],
)
def test_accession_number_of_another_patient_decides_nothing(change: dict[str, str]) -> None:
    given = {"patient_id": "", "accession_number": "A1", **change}
    assert rule(study(**given), local(orders=(accession(),))) == ""


def test_promised_study_uid_decides() -> None:
    given = study(patient_id="", sex="", study_instance_uid="1.2.3")
    assert rule(given, local(orders=(accession("", study_instance_uid="1.2.3"),))) == "study-uid"


def test_several_procedures_under_one_number_leave_only_the_number() -> None:
    orders = (
        accession(requested_procedure_id="R1"),
        accession(key="o2", requested_procedure_id="R2"),
    )
    chosen = decide(study(accession_number="A1"), [local(orders=orders)]).chosen
    assert chosen is not None
    assert chosen.order == Order(accession_number="A1")


def test_rules_that_name_two_patients_decide_nothing() -> None:
    holder = local("k2", patient_id="X", orders=(accession(),))
    assert rule(study(accession_number="A1"), local(), holder) == ""


def test_mixed_patients_are_never_certain() -> None:
    other = Demographics(name="Other^Person", birth_date="19850917", sex="M")
    assert rule(study(others=(other,)), local()) == ""
    spelled = Demographics(name="MUSTER^ANNA", birth_date="19700203")
    assert rule(study(others=(spelled,)), local()) == "issuer+id"


def test_retired_names_and_ids_count() -> None:
    patient = local(patient_id="NEW", name="Married^Anna", names=("Muster^Anna",))
    merged = LocalPatient("k1", patient.patient, (*patient.identifiers, identifier_of(ANNA)), patient.names)
    assert rule(study(), merged) == "issuer+id"


def test_candidates_are_ranked_and_few() -> None:
    patients = [local(f"k{n}", patient_id=f"{n}", name=f"Muster^Anna{'x' * n}") for n in range(30)]
    candidates = decide(study(patient_id="", sex=""), patients).candidates
    assert len(candidates) == 10
    assert [c.score for c in candidates] == sorted((c.score for c in candidates), reverse=True)
    assert (
        decide(
            study(), [local(name="Garcia^Pedro", birth_date="19200101", sex="M", patient_id="")]
        ).candidates
        == ()
    )
    assert decide(study(), []) == Outcome()


def test_orders_are_offered_by_modality_and_date() -> None:
    given = study(sex="", patient_id="", modalities=("CT",))
    outcome = decide(given, [local(), local("k2", patient_id="2")])
    orders = [
        accession("far", "o1", modality="CT", scheduled_at="20200101"),
        accession("mr", "o2", modality="MR"),
        accession("near", "o3", scheduled_at="20260101103000"),
    ]
    offered = offer_orders(given, outcome, {"k1": orders}).candidates
    assert [(c.patient_key, c.order_key) for c in offered] == [
        ("k1", None),
        ("k1", "o1"),
        ("k1", "o3"),
        ("k2", None),
    ]


def test_what_counts_as_a_difference() -> None:
    certain = decide(study(), [local()])
    assert not differs(certain, certain)
    assert not differs(certain, decide(study(), [local(), local("k2", patient_id="9", name="Muster^Xaver")]))
    assert differs(certain, decide(study(), [local(name="Muster^Anna^M")]))
    assert differs(certain, Outcome())
    open_one = decide(study(sex="", patient_id=""), [local()])
    assert differs(open_one, decide(study(sex="", patient_id=""), [local(), local("k2", patient_id="9")]))
