"""Storage commitment reports, kept where the delivery's worker looks for them."""

from collections.abc import Iterable, Mapping

from kit.documents.port import Documents
from kit.errors import VersionConflict
from kit.ids import derived_id
from schemas.envelope import Event
from services.forward.models import REPORTS, Report


def report_id(transaction_uid: str) -> str:
    return derived_id("commitment-report", transaction_uid)


async def keep_report(
    documents: Documents,
    transaction_uid: str,
    committed: Iterable[str],
    failed: Mapping[str, int],
    event: Event | None = None,
) -> None:
    """Durable on return. A report that comes twice changes nothing."""
    committed = set(committed)
    while True:
        report = await documents.get(REPORTS, report_id(transaction_uid))
        if report is None:
            report = Report(id=report_id(transaction_uid), transaction_uid=transaction_uid)
        if event is not None:
            if report.has_seen(event):
                return
            report.remember(event)
        report.committed = sorted(committed.union(report.committed))
        report.failed = {**report.failed, **failed}
        try:
            await documents.save(REPORTS, report)
        except VersionConflict:
            continue
        return


async def reports_on(documents: Documents, transactions: Iterable[str]) -> dict[str, Report | None]:
    return {uid: await documents.get(REPORTS, report_id(uid)) for uid in transactions}
