"""What a media directory (DICOMDIR, PS3.3 F) says its disc holds. Reading only: no path is opened.

Records are one flat sequence linked by offsets; the links are not followed, so loops can't hurt.
"""

from dataclasses import dataclass
from io import SEEK_END
from typing import Any, BinaryIO

from kit.dicom.characters import Text
from kit.dicom.elements import Element
from kit.dicom.errors import BrokenDicom, NotDicom
from kit.dicom.meta import IMPLICIT, read_meta
from kit.dicom.preamble import dataset_start, guess_syntax
from kit.dicom.reader import Reader

DICOMDIR = "1.2.840.10008.1.3.10"
_RECORDS = 0x00041220
_FILE_ID, _CLASS_UID, _INSTANCE_UID = 0x00041500, 0x00041510, 0x00041511
_MAX_RECORDS = 500_000


@dataclass(frozen=True)
class DirectoryRecord:
    """A file the directory refers to. `file_id` is its path on the disc, part by part: for comparing
    and showing, never for opening."""

    file_id: tuple[str, ...]
    sop_class_uid: str
    sop_instance_uid: str


def read_dicomdir(file: BinaryIO) -> list[DirectoryRecord]:
    """Files the directory refers to, in its order. Raises NotDicom and BrokenDicom."""
    size = file.seek(0, SEEK_END)
    found: list[DirectoryRecord] = []

    def item(elements: list[Element], around: list[Element], items: list[Any]) -> None:
        record = _record(elements)
        if record is not None:
            found.append(record)
        if len(found) > _MAX_RECORDS:
            raise BrokenDicom("too-many-elements", "The disc's directory lists more files than is sensible.")

    reader = Reader(file, size, keep=frozenset({_RECORDS}), on_item=item)
    start = dataset_start(reader.peek(0, min(size, 256)))
    if start is None:
        raise NotDicom("not a DICOM file")
    meta = read_meta(reader, start, size)
    if meta.sop_class_uid != DICOMDIR:
        raise NotDicom("not a DICOM media directory")
    if meta.end < size:
        syntax = guess_syntax(reader.peek(meta.end, min(8, size - meta.end)))
        explicit = syntax == "explicit" if syntax else meta.transfer_syntax != IMPLICIT
        reader.dataset(meta.end, explicit)
    return found


def _record(elements: list[Element]) -> DirectoryRecord | None:
    values = {e[0]: e[5] for e in elements if e[0] in (_FILE_ID, _CLASS_UID, _INSTANCE_UID) and e[5]}
    if _FILE_ID not in values:
        return None
    text = Text().decode(values[_FILE_ID])
    parts = [part.strip(" \0") for part in text.split("\\")]
    return DirectoryRecord(
        file_id=tuple(part for part in parts if part),
        sop_class_uid=_uid(values.get(_CLASS_UID, b"")),
        sop_instance_uid=_uid(values.get(_INSTANCE_UID, b"")),
    )


def _uid(value: bytes) -> str:
    return value.decode("latin_1").strip(" \0")
