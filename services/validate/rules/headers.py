"""What the instances of a pack say of their study, and what the findings of many files come to."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from schemas.shapes import Demographics, Finding, SeriesSummary
from schemas.validate import StudyHeader
from services.validate.rules.patients import distinct

_FINDINGS_MAX = 200


class InstanceHeader(Protocol):
    """The study-level part of kit.dicom's Instance."""

    @property
    def study_instance_uid(self) -> str: ...
    @property
    def series_instance_uid(self) -> str: ...
    @property
    def patient(self) -> Demographics: ...
    @property
    def accession_number(self) -> str: ...
    @property
    def study_date(self) -> str: ...
    @property
    def study_time(self) -> str: ...
    @property
    def study_description(self) -> str: ...
    @property
    def study_id(self) -> str: ...
    @property
    def referring_physician(self) -> str: ...
    @property
    def modality(self) -> str: ...
    @property
    def series_number(self) -> str: ...
    @property
    def series_description(self) -> str: ...
    @property
    def body_part(self) -> str: ...


def study_header(instances: Sequence[InstanceHeader]) -> StudyHeader:
    """Of at least one instance, all of one study: the first non-empty value of each attribute."""
    series: dict[str, SeriesSummary] = {}
    for instance in instances:
        uid = instance.series_instance_uid
        known = series.get(uid)
        series[uid] = (
            known.model_copy(update={"instances": known.instances + 1})
            if known
            else SeriesSummary(
                series_instance_uid=uid,
                modality=instance.modality,
                number=instance.series_number,
                description=instance.series_description,
                body_part=instance.body_part,
                instances=1,
            )
        )
    patients = distinct(instance.patient for instance in instances)
    return StudyHeader(
        study_instance_uid=instances[0].study_instance_uid,
        patient=patients[0],
        other_patients=tuple(patients[1:]),
        accession_number=_first(instance.accession_number for instance in instances),
        study_date=_first(instance.study_date for instance in instances),
        study_time=_first(instance.study_time for instance in instances),
        description=_first(instance.study_description for instance in instances),
        referring_physician=_first(instance.referring_physician for instance in instances),
        study_id=_first(instance.study_id for instance in instances),
        modalities=tuple(sorted({summary.modality for summary in series.values() if summary.modality})),
        series=tuple(series.values()),
    )


def summed(findings: Iterable[Finding]) -> list[Finding]:
    """One finding for each code, action and text, with its count. Texts that differ from file to file
    (bytes missing) are told by the first where there are very many."""
    found: dict[tuple[str, ...], Finding] = {}
    for one in findings:
        key: tuple[str, ...] = (one.code, one.severity, one.action, one.text)
        if key not in found and len(found) >= _FINDINGS_MAX:
            key = next((known for known in found if known[0] == one.code), key)
        known = found.get(key)
        found[key] = known.model_copy(update={"count": known.count + one.count}) if known else one
    return list(found.values())


def _first(values: Iterable[str]) -> str:
    return next((value for value in values if value), "")
