"""Events of the portal service."""

from typing import ClassVar

from schemas.envelope import Event
from schemas.shapes import Decision, Study


class StudyDecided(Event):
    """A person or a named policy decided. Self-contained: the study as it was seen. Key: the study."""

    topic: ClassVar[str] = "study-decided"
    owner: ClassVar[str] = "portal"
    decision: Decision
    study: Study
