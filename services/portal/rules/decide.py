"""What a person's decision may say: checks a request against the case and makes the Decision. Pure."""

import re
from collections.abc import Sequence
from datetime import date, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from kit.errors import Refused, Stale
from kit.ids import derived_id
from schemas.shapes import Candidate, DecidedBy, Decision, Demographics, Match, Order, Study
from services.portal.models import Case
from services.portal.rules.state import State, last, outdated


class Chosen(BaseModel):
    """One of the candidates that matching offers."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    patient_key: str


class Typed(BaseModel):
    """An identity as the approver typed it, or took it from POST /api/patients/search."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    patient: Demographics


class Request(BaseModel):
    """Body of POST /api/studies/{id}/decision. The revisions are those of the view it was made on."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    action: Literal["approve", "decline", "ask-sender"]
    study_revision: int
    match_revision: int = Field(default=0, description="0: matching had not answered yet")
    target: Literal["match", "as-sent"] | Chosen | Typed | None = Field(
        default=None, description="whose study it is; needed to approve"
    )
    order: str | Order | None = Field(
        default=None, description="an order key of the candidate, none, or the order itself; default: its own"
    )
    destinations: list[str] = Field(
        default_factory=list, description="default: the sender account's, else all"
    )
    reason: str = Field(default="", max_length=500, description="shown to the sender; no patient data")


class StaleView(Stale):
    """Carries what is current, so that a client can show it."""

    def __init__(self, study_revision: int, match_revision: int, what: str) -> None:
        super().__init__("stale", f"{what} since you looked. Look at the study again, then decide.")
        self.study_revision = study_revision
        self.match_revision = match_revision


def match_revision(case: Case) -> int:
    return case.match.revision if case.match is not None else 0


def check_current(case: Case, study: Study, request: Request) -> None:
    """Raises StaleView when the request was made on another view than the present one."""
    current = match_revision(case)
    if request.study_revision != study.revision:
        raise StaleView(study.revision, current, "The study changed")
    if request.match_revision != current:
        raise StaleView(study.revision, current, "The patient match changed")


def default_destinations(preferred: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    """The sender account's own destinations that still exist; all known ones where it names none."""
    own = tuple(name for name in preferred if name in known)
    return own if preferred else tuple(known)


def digest(request: Request, by: DecidedBy) -> str:
    return derived_id("request", by.id, request.model_dump_json())


def decide(
    case: Case,
    study: Study,
    request: Request,
    *,
    by: DecidedBy,
    now: datetime,
    preferred: Sequence[str],
    known: Sequence[str],
) -> Decision | None:
    """The decision asked for, or None when the last one already says it (a repeated request).

    `preferred` are the destinations of the sender account, `known` all there are.
    Raises StaleView, and Refused with a sentence that says what is missing.
    """
    verdict = last(case)
    if verdict is not None and verdict.request == digest(request, by):
        return None
    check_current(case, study, request)
    if request.action == "approve" and (case.leaving is not None or case.gone is not None):
        raise Refused(
            "removed", "The images of this study were removed here. Ask the sender to send them again."
        )
    target: Demographics | None = None
    order: Order | None = None
    destinations: tuple[str, ...] = ()
    if request.action == "approve":
        target, order = _identity(case, study, request)
        destinations = _destinations(request, preferred, known)
    else:
        _may_turn_down(case, study, request)
    decision = Decision(
        id=derived_id("decision", study.id, str(len(case.verdicts)), by.id),
        action=request.action,
        study_id=study.id,
        study_revision=study.revision,
        match_revision=match_revision(case),
        by=by,
        time=now,
        reason=request.reason.strip(),
        target=target,
        order=order,
        destinations=destinations,
    )
    if verdict is not None and not outdated(verdict, study) and _same(verdict.decision, decision):
        return None
    return decision


def _same(one: Decision, other: Decision) -> bool:
    """They say the same of the same view, whoever said it."""
    apart = {"id", "by", "time"}
    return one.model_dump(exclude=apart) == other.model_dump(exclude=apart)


def _may_turn_down(case: Case, study: Study, request: Request) -> None:
    """An approved study is on its way; a declined one may be approved later, not the reverse."""
    verdict = last(case)
    if (
        verdict is not None
        and verdict.decision.action == "approve"
        and not outdated(verdict, study)
        and case.state != State.FAILED
    ):
        raise Refused(
            "already-approved",
            "This study was approved and is in the PACS or on its way there. Remove it in the PACS itself.",
        )
    if request.action == "ask-sender" and not request.reason.strip():
        raise Refused("no-reason", "Say what the sender is asked for: give a reason.")


def _identity(case: Case, study: Study, request: Request) -> tuple[Demographics | None, Order | None]:
    target = request.target
    if target is None:
        raise Refused(
            "no-target",
            "Say whose study it is: the match, one of the candidates, a typed identity, or as sent.",
        )
    if target == "as-sent":
        return None, _typed_order(request.order)
    if isinstance(target, Typed):
        check_demographics(target.patient)
        return target.patient, _typed_order(request.order)
    offered = _offered(case.match)
    if target == "match":
        chosen = case.match.chosen if case.match is not None else None
        if chosen is None:
            raise Refused(
                "no-match", "This study has no certain match. Choose a candidate or type the patient."
            )
        if case.match is not None and case.match.study_revision < study.revision:
            # Matching has not seen what came last; it will in a moment.
            raise StaleView(study.revision, match_revision(case), "The study changed")
        patient_key = chosen.patient_key
    else:
        patient_key = target.patient_key
    rows = [c for c in offered if c.patient_key == patient_key]
    if not rows:
        raise Refused("unknown-candidate", "This patient is not among the candidates of the study.")
    if not fits_attributes(rows[0].patient):
        raise Refused(
            "bad-patient",
            "The hospital's record of this patient holds a sign that images can't carry (a backslash). "
            "Type the patient by hand.",
        )
    return rows[0].patient, _order(rows, request.order)


def _offered(match: Match | None) -> list[Candidate]:
    """The chosen one first, then the candidates by rank."""
    if match is None:
        return []
    return [*([match.chosen] if match.chosen is not None else []), *match.candidates]


def _order(rows: list[Candidate], asked: str | Order | None) -> Order | None:
    if asked is None:
        return rows[0].order
    if isinstance(asked, Order):
        check_order(asked)
        return asked
    if asked == "none":
        return None
    for row in rows:
        if row.order_key == asked:
            return row.order
    raise Refused("unknown-order", "This order is not among those offered for the patient.")


def _typed_order(asked: str | Order | None) -> Order | None:
    if isinstance(asked, Order):
        check_order(asked)
        return asked
    if asked in {None, "none"}:
        return None
    raise Refused("unknown-order", "An order key goes with a candidate. Give the order itself, or none.")


def _destinations(request: Request, preferred: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(request.destinations)) or default_destinations(preferred, known)
    if not names:
        raise Refused(
            "no-destination", "There is no destination to send to. Add one: anteroom destination add."
        )
    unknown = [name for name in names if name not in known]
    if unknown:
        raise Refused("unknown-destination", f"There is no destination {unknown[0][:64]!r}.")
    return names


_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f\\]")


def fits_attributes(patient: Demographics) -> bool:
    """Whether each value stays one value in DICOM: a backslash would part it (PS3.5 6.4)."""
    return not any(_FORBIDDEN.search(text) for text in (patient.patient_id, patient.issuer, patient.name))


def check_demographics(patient: Demographics) -> None:
    """A typed identity must fit its DICOM attributes (PS3.5 6.2: LO, PN, DA, CS)."""
    if not patient.patient_id.strip() or not patient.name.strip():
        raise Refused("bad-patient", "A typed patient needs at least an ID and a name.")
    if not fits_attributes(patient):
        raise Refused(
            "bad-patient", "A patient's ID, issuer and name may not hold backslashes or control signs."
        )
    if len(patient.patient_id) > 64 or len(patient.issuer) > 64:
        raise Refused("bad-patient", "A patient's ID and issuer have at most 64 characters.")
    groups = patient.name.split("=")
    if len(groups) > 3 or any(len(group) > 64 or group.count("^") > 4 for group in groups):
        raise Refused("bad-patient", "Write the name as Family^Given, at most 64 characters.")
    if patient.birth_date and not _is_date(patient.birth_date):
        raise Refused("bad-patient", "Write the birth date as YYYYMMDD.")
    if patient.sex not in {"", "M", "F", "O"}:
        raise Refused("bad-patient", "The sex is M, F, O or empty.")


def check_order(order: Order) -> None:
    """A typed order must fit its DICOM attributes: one value each, none of them longer than LO allows."""
    texts = list(order.model_dump().values())
    if any(len(text) > 64 or _FORBIDDEN.search(text) for text in texts):
        raise Refused(
            "bad-order",
            "The fields of an order have at most 64 characters, and no backslashes or control signs.",
        )
    if not re.fullmatch(r"[0-9.]*", order.study_instance_uid):
        raise Refused("bad-order", "A Study Instance UID has digits and dots alone.")


def _is_date(text: str) -> bool:
    if not re.fullmatch(r"[0-9]{8}", text):
        return False
    try:
        date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError:
        return False
    return True
