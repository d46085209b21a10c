"""Out of a header in the DICOM JSON model: the study's attributes, and its identifiers put right."""

import re
from collections.abc import Sequence
from struct import pack
from typing import Any, TypedDict

from kit.dicom.elements import Element, Patch
from kit.dicom.errors import BrokenDicom
from kit.dicom.meta import Meta
from schemas.shapes import Demographics

_VALID = re.compile(r"(0|[1-9]\d*)(\.(0|[1-9]\d*))*")
_USABLE = re.compile(r"(?=.*[0-9A-Za-z])[0-9A-Za-z._-]{1,64}")
_NUMBERS = re.compile(r"\d+(\.\d+)*")
_NAMES = {
    0x00080016: "kind of image (SOP Class UID)",
    0x00080018: "image (SOP Instance UID)",
    0x0020000D: "study (Study Instance UID)",
    0x0020000E: "series (Series Instance UID)",
}


class StudyFields(TypedDict):
    patient: Demographics
    accession_number: str
    study_date: str
    study_time: str
    study_description: str
    study_id: str
    referring_physician: str
    modality: str
    series_number: str
    series_description: str
    body_part: str
    instance_number: str


def is_uid(text: str) -> bool:
    """Digits and dots of at most 64 characters, as PS3.5 9.1 asks (needless zeros are let pass)."""
    return len(text) <= 64 and _NUMBERS.fullmatch(text) is not None


def study_fields(header: dict[str, Any]) -> StudyFields:
    return StudyFields(
        patient=Demographics(
            patient_id=first(header, "00100020"),
            issuer=first(header, "00100021"),
            name=name(header, "00100010"),
            birth_date=first(header, "00100030"),
            sex=first(header, "00100040"),
        ),
        accession_number=first(header, "00080050"),
        study_date=first(header, "00080020"),
        study_time=first(header, "00080030"),
        study_description=first(header, "00081030"),
        study_id=first(header, "00200010"),
        referring_physician=name(header, "00080090"),
        modality=first(header, "00080060"),
        series_number=first(header, "00200011"),
        series_description=first(header, "0008103E"),
        body_part=first(header, "00180015"),
        instance_number=first(header, "00200013"),
    )


def first(header: dict[str, Any], key: str) -> str:
    """First value as text, empty where there is none."""
    values = header.get(key, {}).get("Value")
    value = values[0] if values else None
    return "" if value is None or isinstance(value, dict) else str(value)


def name(header: dict[str, Any], key: str) -> str:
    """First person name in its DICOM form: groups by =, components by ^."""
    values = header.get(key, {}).get("Value")
    value = values[0] if values else None
    if not isinstance(value, dict):
        return "" if value is None else str(value)
    groups = (value.get("Alphabetic", ""), value.get("Ideographic", ""), value.get("Phonetic", ""))
    return "=".join(groups).rstrip("=")


class Uids:
    """The four identifiers of an instance. Adds patches for what can be put right; `codes` says what.

    Raises BrokenDicom where one is missing for good or unusable: none is ever invented.
    """

    def __init__(
        self,
        header: dict[str, Any],
        elements: Sequence[Element],
        meta: Meta,
        patches: list[Patch],
        explicit: bool,
    ) -> None:
        self.codes: list[str] = []
        self._header = header
        self._elements = elements
        self._patches = patches
        self._explicit = explicit
        self.sop_class = self._uid(0x00080016, meta.sop_class_uid)
        self.sop_instance = self._uid(0x00080018, meta.sop_instance_uid)
        self.study = self._uid(0x0020000D, "")
        self.series = self._uid(0x0020000E, "")
        named = (meta.sop_class_uid or self.sop_class, meta.sop_instance_uid or self.sop_instance)
        if named != (self.sop_class, self.sop_instance):
            self.codes.append("uid-differs")

    def _uid(self, tag: int, in_meta: str) -> str:
        key = f"{tag:08X}"
        values = self._header.get(key, {}).get("Value") or []
        uid = str(values[0] or "") if len(values) == 1 else "\\" if values else ""
        element = next((e for e in self._elements if e[0] == tag), None)
        if not uid and in_meta:
            uid = in_meta
            self._require(tag, uid)
            self._insert(tag, uid, element)
            self._header[key] = {"vr": "UI", "Value": [uid]}
            self.codes.append("uid-from-meta")
        self._require(tag, uid)
        if element is not None and element[5] and element[5].rstrip(b"\0") != uid.encode():
            self._patches.append(
                Patch(element[3], len(element[5]), uid.encode().ljust(len(element[5]), b"\0"))
            )
            self.codes.append("uid-padding")
        if not _VALID.fullmatch(uid):
            self.codes.append("uid-zeros" if _NUMBERS.fullmatch(uid) else "uid-invalid")
        return uid

    @staticmethod
    def _require(tag: int, uid: str) -> None:
        if not uid:
            raise BrokenDicom(
                "uid-missing",
                f"The file does not say which {_NAMES[tag]} it is. Export it again from its source.",
            )
        if not _USABLE.fullmatch(uid):
            raise BrokenDicom(
                "uid-unusable",
                f"What stands for the {_NAMES[tag]} is no identifier. Export the file again from its source.",
            )

    def _insert(self, tag: int, uid: str, empty: Element | None) -> None:
        value = uid.encode("ascii")
        value += b"\0" * (len(value) % 2)
        group, number = tag >> 16, tag & 0xFFFF
        if self._explicit:
            data = pack("<HH2sH", group, number, b"UI", len(value)) + value
        else:
            data = pack("<HHI", group, number, len(value)) + value
        if empty is not None:
            self._patches.append(Patch(empty[2], empty[4] - empty[2], data))
            return
        behind = next((e[2] for e in self._elements if e[0] > tag), self._elements[-1][4])
        self._patches.append(Patch(behind, 0, data))
