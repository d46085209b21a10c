"""Packs and their index."""

import hashlib
from io import BufferedReader, BytesIO
from pathlib import Path

import orjson
import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEGBaseline8Bit

from kit.dicom.pack import InstanceFile, PackWriter, read_index
from kit.errors import PermanentError
from kit.objects.files import FileObjects
from tests.unit.dicom.packing import INDEX_KEY, KEY, content, packed
from tests.unit.dicom.samples import dataset, encapsulated, part10, read, stored


@pytest.fixture
def objects(tmp_path: Path) -> FileObjects:
    return FileObjects(tmp_path / "objects")


def files() -> list[bytes]:
    jpeg = encapsulated(
        [b"\xff\xd8\xff\xe0ab", b"\xff\xd8\xff\xe0cdef"], frames=2, SOPInstanceUID="1.2.3.4.3"
    )
    return [
        part10(dataset()),
        b"MZ".ljust(128, b"x") + part10(dataset(SOPInstanceUID="1.2.3.4.2"))[128:],
        part10(jpeg, JPEGBaseline8Bit),
        part10(dataset(SOPInstanceUID="1.2.3.4.4"), DeflatedExplicitVRLittleEndian),
    ]


def test_what_goes_in_comes_out(objects: FileObjects) -> None:
    index = packed(objects, files())
    assert index.study_instance_uid == "1.2.3.4"
    assert [entry.file_id for entry in index.entries] == ["0", "1", "2", "3"]
    for entry, data in zip(index.entries, files(), strict=True):
        instance = read(data)
        made = stored(instance, data)
        assert content(objects, entry) == made
        assert entry.sha256 == hashlib.sha256(made[entry.dataset_offset :]).hexdigest()
        assert (entry.header_end, entry.pixel_end, entry.frames) == (
            instance.header_end,
            instance.pixel_end,
            instance.frames,
        )
        assert index.header_json(objects, entry.position) == instance.json
        assert index.by_uid[instance.sop_instance_uid] is entry


def test_headers_come_in_the_order_asked_for(objects: FileObjects) -> None:
    index = packed(objects, files())
    for order in ([0, 1, 2, 3], [3, 0, 1], [2], []):
        uids = [orjson.loads(text)["00080018"]["Value"][0] for text in index.headers(objects, order)]
        assert uids == [f"1.2.3.4.{number + 1}" for number in order]


def test_the_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    one, two = FileObjects(tmp_path / "one"), FileObjects(tmp_path / "two")
    for objects in (one, two, two):
        packed(objects, files())
    assert one.read(KEY) == two.read(KEY)
    assert one.read(INDEX_KEY) == two.read(INDEX_KEY)


def test_commit_tells_the_hash_of_the_index(objects: FileObjects) -> None:
    data = files()[0]
    with PackWriter(objects, KEY, INDEX_KEY) as pack:
        pack.add(read(data), BytesIO(data), "12.3")
        assert len(pack) == 1
        assert pack.commit() == (1, len(data), hashlib.sha256(objects.read(INDEX_KEY)).hexdigest())


def test_nothing_is_left_without_commit(objects: FileObjects) -> None:
    data = files()[0]
    with PackWriter(objects, KEY, INDEX_KEY) as pack:
        pack.add(read(data), BytesIO(data), "0")
    assert list(objects.list("studies/")) == []


def test_a_source_that_ends_early_is_an_error(objects: FileObjects) -> None:
    data = files()[0]
    instance = read(data)
    with pytest.raises(EOFError), PackWriter(objects, KEY, INDEX_KEY) as pack:
        pack.add(instance, BytesIO(data[:-9]), "0")


def test_a_damaged_index_is_an_error(objects: FileObjects) -> None:
    packed(objects, files())
    whole = objects.read(INDEX_KEY)
    for damaged in (b"", whole[:-1], whole[1:], b"x" * 50):
        objects.put(INDEX_KEY, [damaged])
        with pytest.raises(PermanentError):
            read_index(objects, INDEX_KEY)


def test_an_instance_is_a_file_of_its_own(objects: FileObjects) -> None:
    index = packed(objects, files())
    entry = index.entries[1]
    made = content(objects, entry)
    with BufferedReader(InstanceFile(objects, KEY, entry)) as file:
        assert file.read() == made
        file.seek(-10, 2)
        assert file.read(100) == made[-10:]
        file.seek(entry.dataset_offset)
        assert file.read(8) == made[entry.dataset_offset : entry.dataset_offset + 8]
