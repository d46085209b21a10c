"""What a sender's policy may approve without a person. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from kit.identity import Account, proves_itself
from kit.ids import derived_id
from schemas.shapes import DecidedBy, Decision
from services.portal.models import Case
from services.portal.rules.decide import default_destinations, fits_attributes
from services.portal.rules.state import last, outdated, senders

FORWARD_CERTAIN = "forward-certain"


def might_approve(case: Case) -> bool:
    """The part of the question that the case alone answers; cheap, asked on every event."""
    study, match = case.study, case.match
    if study is None or match is None or study.needs_person or study.instances == 0:
        return False
    if case.leaving is not None or case.gone is not None:
        return False
    certain = match.state == "matched" and match.certainty == "certain" and match.chosen is not None
    if not certain or match.study_revision != study.revision:
        return False
    if match.chosen is not None and not fits_attributes(match.chosen.patient):
        return False
    if None in senders(case):
        return False
    verdict = last(case)
    if verdict is None:
        return True
    decision = verdict.decision
    if decision.action != "approve" or not outdated(verdict, study):
        return False
    # late images join what was approved only under the same identity: else a person must look
    return match.chosen is not None and decision.target == match.chosen.patient


def policy_decision(
    case: Case, accounts: Mapping[str, Account], known: Sequence[str], now: datetime
) -> Decision | None:
    """The policy's approval, or None when a person must look.

    `accounts` are those of all senders of the study by id: every one of them must have the policy
    and must have proved itself at the door it used. The id derives from the revisions, so a
    redelivery makes the same decision.
    """
    study, match = case.study, case.match
    if not might_approve(case) or study is None or match is None or match.chosen is None:
        return None
    for sender in (study.sender, *senders(case)):
        account = accounts.get(sender.id) if sender is not None else None
        if sender is None or account is None or not _trusted(account, sender.door):
            return None
    verdict = last(case)
    destinations = default_destinations(accounts[study.sender.id].destinations, known)
    if verdict is not None:
        destinations = tuple(name for name in verdict.decision.destinations if name in known)
    if not destinations:
        return None
    return Decision(
        id=derived_id("policy", FORWARD_CERTAIN, study.id, str(study.revision), str(match.revision)),
        action="approve",
        study_id=study.id,
        study_revision=study.revision,
        match_revision=match.revision,
        by=DecidedBy(kind="policy", id=FORWARD_CERTAIN, name=FORWARD_CERTAIN),
        time=now,
        target=match.chosen.patient,
        order=match.chosen.order if verdict is None else verdict.decision.order,
        destinations=destinations,
    )


def _trusted(account: Account, door: str) -> bool:
    return account.policy == FORWARD_CERTAIN and not account.disabled and proves_itself(account, door)
