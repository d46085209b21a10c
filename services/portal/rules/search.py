"""Finding studies by what people type: patient name or ID, accession number, Study Instance UID. Pure."""

import re
import unicodedata

from schemas.shapes import Study

_LONGEST, _MOST = 64, 64


def words(text: str) -> list[str]:
    """Without case and accents, split at what is neither letter nor digit; a UID stays whole."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(c))
    if re.fullmatch(r"\s*(\d+(\.\d+){3,}\.?|2\.25\.\d+)\s*", plain):
        return [plain.strip()[:_LONGEST]]
    return [word[:_LONGEST] for word in re.split(r"[\W_]+", plain) if word]


def tokens(study: Study) -> list[str]:
    patients = (study.patient, *study.other_patients)
    texts = [study.accession_number, *(p.patient_id for p in patients), *(p.name for p in patients)]
    found = {word for text in texts for word in words(text)}
    return [*sorted(found)[:_MOST], study.study_instance_uid]
