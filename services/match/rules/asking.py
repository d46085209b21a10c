"""What to ask a modality worklist for, and which of its answers concern a study."""

from schemas.shapes import Demographics, Order
from services.match.rules.demographics import normal_id
from services.match.rules.known import StudyIdentity
from services.match.rules.names import CONTRADICTS, similarity


def accession_query(number: str) -> str:
    """The number, unless an outsider wrote one that a worklist would take for a pattern or a list."""
    return "" if any(mark in number for mark in "*?\\") else number


def name_queries(name: str) -> list[str]:
    """PNs with wildcards (PS3.4 C.2.2.2.4) that find the name however its accents are written; none
    when it is too short to ask for. Some worklists mind the case: as it came, in capitals, capitalised.
    """
    parts = [_wild(part) for part in name.split("=")[0].split("^")[:2]]
    if len(parts) < 2 or sum(c.isalnum() for c in parts[0]) < 2 or not parts[1]:
        return []
    query = f"{parts[0]}^{parts[1].rstrip('*')}*"
    # Where an accent was, a capital does not follow: title() would write M*Ller.
    capitalised = "^".join(part[:1].upper() + part[1:].lower() for part in query.split("^"))
    return list(dict.fromkeys((query, query.upper(), capitalised)))


def _wild(part: str) -> str:
    text = "".join(c if c.isascii() and (c.isalnum() or c in " -'") else "*" for c in part.strip())
    while "**" in text:
        text = text.replace("**", "*")
    return text


def relevant(study: StudyIdentity, patient: Demographics, order: Order) -> bool:
    """Worklists that ignore matching keys answer with everybody."""
    number = normal_id(study.accession_number)
    if number and number == normal_id(order.accession_number):
        return True
    if study.study_instance_uid and study.study_instance_uid == order.study_instance_uid:
        return True
    return similarity(study.patient.name, patient.name) >= CONTRADICTS
