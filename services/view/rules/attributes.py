"""Studies and series in the DICOM JSON model (PS3.18 F), as QIDO-RS answers them (PS3.18 10.6.3)."""

import re
from collections.abc import Iterable
from typing import Any, Protocol, TypeVar

from kit.dicom.headerjson import person_name
from kit.dicom.pack import PackEntry
from schemas.shapes import SeriesSummary, Study
from services.view.models import ViewStudy
from services.view.rules.matching import folded

Attributes = dict[str, Any]


class HasEntry(Protocol):
    @property
    def entry(self) -> PackEntry: ...


T = TypeVar("T", bound=HasEntry)


def attribute(vr: str, *values: Any) -> Attributes:
    """One attribute; without Value where there is none, as the model asks."""
    given = [value for value in values if value not in ("", None)]
    return {"vr": vr, "Value": given} if given else {"vr": vr}


def name_attribute(name: str) -> Attributes:
    return attribute("PN", person_name(name))


def integer(text: str) -> int | str:
    """An IS as a number, as it stands where it is none."""
    try:
        return int(text)
    except ValueError:
        return text


def view_of(study: Study) -> ViewStudy:
    return ViewStudy(
        id=study.id,
        revision=study.revision,
        origin=study.origin,
        study_instance_uid=study.study_instance_uid,
        patient_id=study.patient.patient_id,
        accession_number=study.accession_number,
        study_date=study.study_date,
        words=name_words(study.patient.name),
        attributes=study_attributes(study),
        series={one.series_instance_uid: series_attributes(study, one) for one in study.series},
        packs=list(study.packs),
    )


def study_attributes(study: Study) -> Attributes:
    """ModalitiesInStudy is left out where there are none: viewers stumble over an empty one."""
    found = {
        "00080020": attribute("DA", study.study_date),
        "00080030": attribute("TM", study.study_time),
        "00080050": attribute("SH", study.accession_number),
        "00080056": attribute("CS", "ONLINE"),
        "00080090": name_attribute(study.referring_physician),
        "00081030": attribute("LO", study.description),
        "00100010": name_attribute(study.patient.name),
        "00100020": attribute("LO", study.patient.patient_id),
        "00100021": attribute("LO", study.patient.issuer),
        "00100030": attribute("DA", study.patient.birth_date),
        "00100040": attribute("CS", study.patient.sex),
        "0020000D": attribute("UI", study.study_instance_uid),
        "00200010": attribute("SH", study.study_id),
        "00201206": attribute("IS", len(study.series)),
        "00201208": attribute("IS", study.instances),
    }
    modalities = sorted({modality for modality in study.modalities if modality})
    if modalities:
        found["00080061"] = attribute("CS", *modalities)
    return found


def series_attributes(study: Study, series: SeriesSummary) -> Attributes:
    return {
        "00080056": attribute("CS", "ONLINE"),
        "00080060": attribute("CS", series.modality),
        "0008103E": attribute("LO", series.description),
        "00180015": attribute("CS", series.body_part),
        "0020000D": attribute("UI", study.study_instance_uid),
        "0020000E": attribute("UI", series.series_instance_uid),
        "00200011": attribute("IS", integer(series.number)),
        "00201209": attribute("IS", series.instances),
    }


def instance_attributes(study_uid: str, entry: PackEntry) -> Attributes:
    found = {
        "00080016": attribute("UI", entry.sop_class_uid),
        "00080018": attribute("UI", entry.sop_instance_uid),
        "00080056": attribute("CS", "ONLINE"),
        "00083002": attribute("UI", entry.transfer_syntax),
        "0020000D": attribute("UI", study_uid),
        "0020000E": attribute("UI", entry.series_instance_uid),
        "00200013": attribute("IS", integer(entry.instance_number)),
    }
    if entry.rows:
        found["00280010"] = attribute("US", entry.rows)
        found["00280011"] = attribute("US", entry.columns)
        found["00280008"] = attribute("IS", entry.frames.count)
    return found


def name_words(name: str) -> list[str]:
    """The words of a person name, folded for searching: as they stand, and without accents."""
    words = {word for word in re.split(r"[\s^=,\\]+", name.casefold()) if word}
    return sorted(words | {folded(word) for word in words})


def by_number(found: Iterable[T]) -> list[T]:
    """In the order of Instance Number; those without one last."""

    def place(one: T) -> tuple[int, int, str]:
        number = integer(one.entry.instance_number)
        return (0, number, "") if isinstance(number, int) else (1, 0, str(number))

    return sorted(found, key=place)
