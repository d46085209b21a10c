"""What an archive hears when its report can't be kept."""

from typing import Any

import pytest

from kit.clock import utc_now
from kit.dicom.network import CommitmentReport, Peer, statuses
from kit.errors import NoSpace, TransientError
from services.upload.scp_session import ScpSession


class _Bus:
    def __init__(self, error: Exception) -> None:
        self._error = error

    async def publish(self, events: Any) -> None:
        raise self._error


@pytest.mark.parametrize("error", [NoSpace("full"), TransientError("database: SQLITE_BUSY")])
async def test_a_report_that_cannot_be_kept_is_not_confirmed(error: Exception) -> None:
    bus: Any = _Bus(error)
    sessions: Any = None
    session = ScpSession(
        Peer("ARCHIVE", "ANTEROOM", "127.0.0.1", None),
        None,
        None,
        reports=True,
        sessions=sessions,
        bus=bus,
        clock=utc_now,
    )
    status = await session.report(CommitmentReport("1.2.3", ("1.2.4",), ()))
    assert status.code == statuses.PROCESSING_FAILURE
