"""What is known of a study and of a local patient, as far as matching needs it."""

from dataclasses import dataclass, field

from schemas.shapes import Demographics, Order, Study
from services.match.rules.demographics import Identifier, normal_id, normal_issuer


@dataclass(frozen=True)
class StudyIdentity:
    """`others` are further identities seen within the study."""

    patient: Demographics
    others: tuple[Demographics, ...] = ()
    accession_number: str = ""
    study_instance_uid: str = ""
    study_date: str = ""
    modalities: tuple[str, ...] = ()

    @property
    def identities(self) -> tuple[Demographics, ...]:
        return (self.patient, *self.others)


@dataclass(frozen=True)
class LocalOrder:
    key: str
    order: Order


@dataclass(frozen=True)
class LocalPatient:
    """A patient with all that merging brought together: identifiers and names of retired records too."""

    key: str
    patient: Demographics
    identifiers: tuple[Identifier, ...]
    names: tuple[str, ...]
    orders: tuple[LocalOrder, ...] = field(default=())


def identity_of(study: Study) -> StudyIdentity:
    return StudyIdentity(
        patient=study.patient,
        others=study.other_patients,
        accession_number=study.accession_number,
        study_instance_uid=study.study_instance_uid,
        study_date=study.study_date,
        modalities=study.modalities,
    )


def identifier_of(patient: Demographics) -> Identifier:
    return Identifier(normal_id(patient.patient_id), normal_issuer(patient.issuer))
