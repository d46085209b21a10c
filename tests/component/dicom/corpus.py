"""The DICOM files of the shared test data, and pydicom's view of them."""

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom

from kit.dicom.errors import BrokenDicom, NotDicom
from kit.dicom.instance import Instance, read_instance


def files(folder: Path) -> list[Path]:
    """Every file; runs of like slices thinned to keep the suite quick."""
    found = sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix != ".md")
    thinned = [path for path in found if "datalad" in str(path) or "dcmqa-deident" in str(path)]
    return [path for path in found if path not in thinned] + thinned[::20]


def readable(folder: Path) -> Iterator[tuple[Path, bytes, Instance]]:
    """Path, content and instance of all that can be read."""
    for path in files(folder):
        data = path.read_bytes()
        try:
            yield path, data, read_instance(BytesIO(data), len(data))
        except (NotDicom, BrokenDicom):
            continue


def stored_bytes(instance: Instance, data: bytes) -> bytes:
    if instance.source is not None:
        instance.source.seek(0)
        data = instance.source.read()
    return joined(instance.pieces, data)


def joined(pieces: Any, data: bytes) -> bytes:
    return b"".join(
        piece if isinstance(piece, bytes) else data[piece.offset : piece.offset + piece.length]
        for piece in pieces
    )


def model_of(dataset: pydicom.Dataset) -> dict[str, Any]:
    """pydicom's JSON model, without pixel data."""
    return dataset.to_json_dict(suppress_invalid_tags=True)
