"""Packs for tests, on a real folder."""

from collections.abc import Sequence
from io import BytesIO

from kit.dicom.elements import Span
from kit.dicom.instance import Instance
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


def entry_of(instance: Instance) -> PackEntry:
    """As if it were the only one of a pack."""
    return PackEntry(
        position=0,
        file_id="0",
        sop_class_uid=instance.sop_class_uid,
        sop_instance_uid=instance.sop_instance_uid,
        series_instance_uid=instance.series_instance_uid,
        transfer_syntax=instance.transfer_syntax,
        offset=0,
        length=instance.size,
        dataset_offset=instance.dataset_offset,
        header_end=instance.header_end,
        pixel_end=instance.pixel_end,
        sha256="",
        instance_number=instance.instance_number,
        rows=instance.rows,
        columns=instance.columns,
        frames=instance.frames,
        bulk=instance.bulk,
        json=Span(0, 0),
    )


def content(objects: FileObjects, entry: PackEntry) -> bytes:
    return b"".join(read_instance_bytes(objects, KEY, entry))
