"""Events of the view service."""

from typing import ClassVar, Literal

from pydantic import Field

from schemas.envelope import Event


class StudyViewed(Event):
    """Somebody looked at a study's images. Once for each person, study and session. Key: the study."""

    topic: ClassVar[str] = "study-viewed"
    owner: ClassVar[str] = "view"
    study_id: str
    account_id: str = Field(description="who looked; for a share link, an id that stands for the link")
    account: str = Field(description="the account's or the link's name")
    kind: Literal["account", "share", "upload-link"] | str = "account"
    grant_id: str = Field(default="", description="the share link's id, where one was used")
