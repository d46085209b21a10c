"""Files are counted by the state they ended in, each once."""

from prometheus_client import REGISTRY

from tests.component.validate.conftest import House
from tests.component.validate.files import dicom


def counted() -> dict[str, float]:
    states = ("stored", "duplicate", "refused")
    return {s: REGISTRY.get_sample_value("anteroom_files_total", {"state": s}) or 0 for s in states}


async def test_files_are_counted_by_their_state(house: House) -> None:
    before = counted()
    files = [("a", dicom(number=1)), ("b", dicom(number=2)), ("c", b"MZ" + b"program" * 50)]
    await house.send(files)
    await house.send(files[:1])
    now = counted()
    assert {state: now[state] - before[state] for state in now} == {"stored": 2, "duplicate": 1, "refused": 1}
