"""The study that ships with the demo, and what the hospital's own systems know of its patient.

The outside identity and the local one differ in their patient ID and issuer, so that reconciling
them can be seen. Where the study comes from: study/LICENCE.txt.
"""

from pathlib import Path

from schemas.shapes import Demographics, Order

STUDY_INSTANCE_UID = "1.2.826.0.1.3680043.2.1143.2592092611698916978113112155415165916"
INSTANCES = 20

_FOLDER = Path(__file__).parent / "study"


def files() -> list[Path]:
    """The study's files in the order of its slices."""
    return sorted(_FOLDER.glob("*.dcm"))


def outside() -> Demographics:
    """The patient as the files name her."""
    return Demographics(patient_id="02", name="Doe^Jane", birth_date="19660101", sex="F")


def demographics(issuer: str = "HOSPITAL") -> Demographics:
    """The patient as the demo's feed announces her: the hospital's number and issuer."""
    return Demographics(
        patient_id="H-0042917", issuer=issuer, name="Doe^Jane", birth_date="19660101", sex="F"
    )


def order() -> Order:
    """The order the hospital made to take the outside images over."""
    return Order(
        accession_number="A26004711",
        requested_procedure_id="RP26004711",
        requested_procedure_description="Import of outside MRI head",
        scheduled_step_id="SPS26004711",
        scheduled_step_description="Import of outside MRI head",
        modality="MR",
        scheduled_at="20130717",
        placer_order_number="P26004711",
        filler_order_number="F26004711",
    )
