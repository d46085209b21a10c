"""Every file of the shared data: no crash, no hang, the sums agree."""

from collections import Counter
from pathlib import Path

from schemas.shapes import FileState, Tally
from tests.component.validate.conftest import House


def everything(folder: Path) -> list[tuple[str, bytes]]:
    return [
        (path.relative_to(folder).as_posix(), path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    ]


def agrees(tally: Tally) -> bool:
    parts = (
        tally.stored,
        tally.duplicate,
        tally.document,
        tally.refused,
        tally.quarantined,
        tally.waiting,
    )
    return tally.sent == sum(parts)


async def test_every_file_ends_in_one_state(house: House, shared_data: Path) -> None:
    files = everything(shared_data)
    submission = await house.send(files, per_batch=200)
    tally = await house.tally(submission)
    assert agrees(tally.tally)
    assert tally.tally.waiting == 0
    records = await house.files(submission)
    assert len(records) == tally.tally.sent
    assert len([file for file in records.values() if "." not in file.id]) >= len(files) - 10, (
        "but for containers"
    )
    assert "crashed-reader" not in {file.code for file in records.values()}
    states = Counter(file.state for file in records.values())
    assert states[FileState.STORED] > 600
    for study in await house.studies(submission):
        snapshot = study.study
        kept = sum(pack.instances - len(pack.skipped) for pack in snapshot.packs)
        assert kept == snapshot.instances == sum(series.instances for series in snapshot.series)
    stored = sum([study.study.instances for study in await house.studies(submission)])
    assert stored == tally.tally.stored


async def test_all_of_it_again_is_no_news(house: House, shared_data: Path) -> None:
    files = everything(shared_data / "dcmqa-ct-philips") + everything(shared_data / "fo-dicom")
    first = (await house.tally(await house.send(files))).tally
    second = (await house.tally(await house.send(files, per_batch=7))).tally
    assert second.stored == 0
    assert second.duplicate == first.stored + first.duplicate
    assert (second.quarantined, second.document, second.refused) == (
        first.quarantined,
        first.document,
        first.refused,
    )
