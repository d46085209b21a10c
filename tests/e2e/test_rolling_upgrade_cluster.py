"""Two releases side by side: an upgrade replaces one process after the other while everybody sends.

The older release is this one without some optional fields (tests/e2e/reliability/older.py): each version gets
the other's events and documents.
"""

from pathlib import Path

import pytest

from tests.e2e.reliability.parcels import KINDS
from tests.e2e.reliability.processes import OLDER, PRESENT
from tests.e2e.reliability.stage import staged
from tests.e2e.reliability.traffic import DICOM
from tests.neighbours.pacs import StartOrthanc

pytestmark = pytest.mark.slow


def test_an_older_and_this_release_work_side_by_side_and_nothing_is_lost_in_between(
    tmp_path: Path, start_orthanc: StartOrthanc
) -> None:
    def first(service: str, index: int) -> str:
        return OLDER if index == 0 else PRESENT

    with staged(tmp_path, start_orthanc, first) as stage:
        kinds = [*KINDS, DICOM] * 2
        stage.traffic.start([(f"U{number:03}", kind) for number, kind in enumerate(kinds)], 3)
        for process in stage.cluster.processes:
            if process.program == OLDER:
                stage.cluster.drain(process, process.upgrade)
        stage.traffic.join()
        stage.cluster.until_ready()
        stage.settle(180)
        with stage.cluster.api() as api:
            assert api.get("/api/dead-letters") == []
        assert stage.ended_by_themselves == []
        assert sum(process.drained for process in stage.cluster.processes) == 7
