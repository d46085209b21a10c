"""Packs for tests, on a real folder."""

from collections.abc import Sequence
from io import BytesIO

from kit.dicom.pack import PackEntry, PackIndex, PackWriter, read_index, read_instance_bytes
from kit.objects.files import FileObjects
from tests.unit.dicom.samples import read

KEY, INDEX_KEY = "studies/s/p.dcm", "studies/s/p.idx"


def packed(objects: FileObjects, files: Sequence[bytes]) -> PackIndex:
    with PackWriter(objects, KEY, INDEX_KEY) as pack:
        for number, data in enumerate(files):
            pack.add(read(data), BytesIO(data), str(number))
        pack.commit()
    return read_index(objects, INDEX_KEY)


def content(objects: FileObjects, entry: PackEntry) -> bytes:
    return b"".join(read_instance_bytes(objects, KEY, entry))
