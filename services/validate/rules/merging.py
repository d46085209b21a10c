"""What a study becomes when a pack is merged into it. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from schemas.shapes import PackRef, SeriesSummary, Study
from schemas.validate import PackWritten, StudyHeader
from services.validate.rules.headers import summed
from services.validate.rules.patients import distinct
from services.validate.texts import finding


class Entry(Protocol):
    """The part of kit.dicom's PackEntry that merging looks at."""

    @property
    def position(self) -> int: ...
    @property
    def sop_instance_uid(self) -> str: ...
    @property
    def series_instance_uid(self) -> str: ...
    @property
    def length(self) -> int: ...
    @property
    def sha256(self) -> str: ...


@dataclass
class Sifted:
    """The positions of a pack: new ones, the same again, and the same UID with other content.
    `hashes` are those of the new ones, by SOP Instance UID."""

    kept: list[int] = field(default_factory=list)
    duplicates: list[int] = field(default_factory=list)
    conflicts: list[int] = field(default_factory=list)
    hashes: dict[str, bytes] = field(default_factory=dict)
    series: Counter[str] = field(default_factory=Counter)
    bytes: int = 0

    @property
    def skipped(self) -> tuple[int, ...]:
        return tuple(sorted((*self.duplicates, *self.conflicts)))


def digest(sha256: str) -> bytes:
    """Half of the hash tells contents apart well enough and saves memory."""
    return bytes.fromhex(sha256[:32])


def sift(entries: Sequence[Entry], known: Mapping[str, bytes]) -> Sifted:
    """Hold a pack's instances against those the study has (SOP Instance UID to digest)."""
    found = Sifted()
    for entry in entries:
        uid, content = entry.sop_instance_uid, digest(entry.sha256)
        before = known.get(uid) or found.hashes.get(uid)
        if before is None:
            found.hashes[uid] = content
            found.kept.append(entry.position)
            found.series[entry.series_instance_uid] += 1
            found.bytes += entry.length
        elif before == content:
            found.duplicates.append(entry.position)
        else:
            found.conflicts.append(entry.position)
    return found


def merge(study: Study | None, event: PackWritten, sifted: Sifted, now: datetime) -> Study:
    """The study with the pack in it, one revision on. A pack that brought nothing new (only
    duplicates) changes no more than the submissions: what was decided on the study stays valid."""
    if study is None:
        study = _new(event, now)
    submissions = _with(study.submissions, event.submission_id)
    if not sifted.kept and not sifted.conflicts:
        return study.model_copy(update={"submissions": submissions})
    header = event.header
    patients = distinct([study.patient, *study.other_patients, header.patient, *header.other_patients])
    findings = [*study.findings, *event.findings]
    needs_person = study.needs_person or event.needs_person
    if sifted.conflicts:
        findings.append(finding("same-uid-other-content", len(sifted.conflicts)))
        needs_person = True
    if len(patients) > 1:
        needs_person = True
        findings = [one for one in findings if one.code != "several-patients-in-study"]
        findings.append(finding("several-patients-in-study"))
    return study.model_copy(
        update={
            "revision": study.revision + 1,
            "patient": patients[0],
            "other_patients": tuple(patients[1:]),
            **_filled(study, header),
            "modalities": tuple(sorted({*study.modalities, *_modalities(header, sifted)})),
            "series": _series(study.series, header.series, sifted.series),
            "packs": (*study.packs, _reference(event.pack, sifted)) if sifted.kept else study.packs,
            "submissions": submissions,
            "instances": study.instances + len(sifted.kept),
            "bytes": study.bytes + sifted.bytes,
            "findings": tuple(summed(findings)),
            "needs_person": needs_person,
            "arrived_at": study.arrived_at if study.packs else now,
            "updated_at": now,
        }
    )


def without_images(study: Study, now: datetime) -> Study:
    """The study when its images are removed: what is sent of it later begins anew."""
    return study.model_copy(
        update={
            "revision": study.revision + 1,
            "generation": study.generation + 1,
            "other_patients": (),
            "modalities": (),
            "series": (),
            "packs": (),
            "submissions": (),
            "instances": 0,
            "bytes": 0,
            "findings": (),
            "needs_person": False,
            "updated_at": now,
        }
    )


def _new(event: PackWritten, now: datetime) -> Study:
    header = event.header
    return Study.model_construct(
        id=event.study_id,
        revision=0,
        generation=1,
        origin=event.sender.origin,
        sender=event.sender,
        study_instance_uid=header.study_instance_uid,
        patient=header.patient,
        arrived_at=now,
        updated_at=now,
    )


def _reference(pack: PackRef, sifted: Sifted) -> PackRef:
    return pack.model_copy(update={"skipped": sifted.skipped}) if sifted.skipped else pack


def _filled(study: Study, header: StudyHeader) -> dict[str, str]:
    """Study attributes that were empty so far."""
    names = ("accession_number", "study_date", "study_time", "description", "referring_physician", "study_id")
    return {name: getattr(study, name) or getattr(header, name) for name in names}


def _modalities(header: StudyHeader, sifted: Sifted) -> set[str]:
    return {
        series.modality
        for series in header.series
        if series.modality and sifted.series.get(series.series_instance_uid)
    }


def _series(
    known: Sequence[SeriesSummary], more: Sequence[SeriesSummary], counts: Mapping[str, int]
) -> tuple[SeriesSummary, ...]:
    found = {series.series_instance_uid: series for series in known}
    for series in more:
        uid, count = series.series_instance_uid, counts.get(series.series_instance_uid, 0)
        if count:
            before = found.get(uid)
            base = before or series
            found[uid] = base.model_copy(update={"instances": count + (before.instances if before else 0)})
    return tuple(found.values())


def _with(submissions: tuple[str, ...], submission_id: str) -> tuple[str, ...]:
    return submissions if submission_id in submissions else (*submissions, submission_id)
