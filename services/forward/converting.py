"""Instances in another transfer syntax: work on bytes that runs in helper processes. A module of its
own, so that a helper loads pixel decoders only when one is needed."""

from pathlib import Path

from kit.dicom.elements import Span
from kit.dicom.errors import BrokenDicom
from kit.dicom.pack import PackEntry
from kit.dicom.transcode import transcode
from kit.objects.port import Objects
from services.forward.reconciling import Identity, with_identity


def converted(
    objects: Objects, key: str, entry: PackEntry, syntax: str, identity: Identity | None, path: Path
) -> list[bytes | Span] | None:
    """Write the instance to `path` in another transfer syntax. The data set to send, as bytes and
    ranges of that file; None: it can't be converted."""
    try:
        made = transcode(objects, key, entry, syntax, path)
        with path.open("rb") as file:
            return with_identity(file, made, identity)
    except BrokenDicom:
        return None
