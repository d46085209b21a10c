"""What view keeps: one document a study, out of validate's snapshots."""

from typing import Any

from pydantic import Field

from kit.documents.port import Collection, Doc
from schemas.shapes import PackRef


class ViewStudy(Doc):
    """`id` is the study's. `attributes` are its QIDO-RS attributes in the DICOM JSON model, without
    Retrieve URL; `series` those of its series by UID."""

    revision: int
    origin: str
    study_instance_uid: str
    patient_id: str = ""
    accession_number: str = ""
    study_date: str = ""
    words: list[str] = Field(default_factory=list, description="of the patient's name, folded")
    attributes: dict[str, Any] = Field(default_factory=dict)
    series: dict[str, dict[str, Any]] = Field(default_factory=dict)
    packs: list[PackRef] = Field(default_factory=list)


STUDIES = Collection(
    "view-studies",
    ViewStudy,
    fields=("study_instance_uid", "patient_id", "accession_number", "study_date"),
    compound=(
        ("study_instance_uid", "study_date"),
        ("patient_id", "study_date"),
        ("accession_number", "study_date"),
    ),
    members="words",
)


class Removed(Doc):
    """The images of this study are gone, as of this revision: what is told of earlier ones is late."""

    revision: int


REMOVED = Collection("view-removed", Removed)

ROW_FIELDS = ("attributes",)
"""What a query over studies needs of a document, and no more."""
