"""The sums of a submission: sent = stored + duplicate + document + refused + quarantined + waiting. Pure."""

from collections.abc import Mapping, Set

from schemas.shapes import Demographics, Finding, Tally
from schemas.validate import BatchSettled
from services.validate.models import SettledBatch, TallyDoc
from services.validate.rules.batches import total
from services.validate.rules.headers import summed
from services.validate.rules.patients import MANY, distinct


def take_settled(doc: TallyDoc, event: BatchSettled) -> bool:
    """False when a later word on this batch is already known."""
    known = doc.settled.get(event.batch_id)
    if known is not None and known.revision >= event.revision:
        return False
    doc.settled[event.batch_id] = SettledBatch(
        revision=event.revision,
        root_sequence=event.root_sequence,
        tally=event.tally,
        expanded=list(event.expanded),
        announced=event.expanded_files,
        studies=list(event.studies),
        findings=list(event.findings),
    )
    doc.tally = total(batch.tally for batch in doc.settled.values())
    return True


def is_complete(doc: TallyDoc) -> bool:
    """Closed; every received batch 1 to n, and every batch made from their archives, has settled."""
    if not doc.closed:
        return False
    expanded = {child for batch in doc.settled.values() for child in batch.expanded}
    roots = {batch.root_sequence for key, batch in doc.settled.items() if key not in expanded}
    return expanded <= doc.settled.keys() and len(roots) == doc.batches


def studies(doc: TallyDoc) -> list[str]:
    return list(dict.fromkeys(study for batch in doc.settled.values() for study in batch.studies))


def batch_findings(doc: TallyDoc) -> list[Finding]:
    return summed(finding for batch in doc.settled.values() for finding in batch.findings)


def never_sent(doc: TallyDoc) -> list[Finding]:
    """Files the sender announced at the opening but never sent."""
    count = (doc.declared or 0) - doc.files
    if count <= 0:
        return []
    text = f"{count:,} of the {doc.declared:,} announced files never came. Please send them again."
    return [
        Finding(
            code="announced-never-sent",
            severity="error",
            action="kept",
            text=text,
            count=count,
            values={"announced": doc.declared or 0},
        )
    ]


def mixed_patients(patients: list[Demographics], *, from_machine: bool) -> list[Finding]:
    """A person who sends studies of several patients together may have mixed them up; for a machine
    it is the normal case."""
    count = len(distinct(patients))
    if count < 2:
        return []
    many = f"{count:,} or more" if count >= MANY else f"{count:,}"
    return [
        Finding(
            code="several-patients",
            severity="info" if from_machine else "warning",
            action="kept",
            text=f"The submission holds studies of {many} different patients. Each is handled on its own.",
            count=count,
        )
    ]


def at_this_moment(
    batches: list[Tally], *, children: Mapping[str, int], present: Set[str], sent: int, received: int
) -> Tally:
    """The sums from what the batches say now. What has no document yet waits: expanded batches
    (`children`: files by id, `present`: ids that have one), and files of received batches that are
    still under way (`sent` by the sender's count, `received` in batches)."""
    absent = sum(files for child, files in children.items() if child not in present)
    absent += max(0, sent - received)
    return total([*batches, Tally(sent=absent, waiting=absent)])
