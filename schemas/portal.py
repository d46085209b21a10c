"""Events of the portal service."""

from datetime import datetime
from typing import ClassVar, Literal

from pydantic import Field

from schemas.envelope import Event
from schemas.shapes import Decision, Person, Study


class StudyDecided(Event):
    """A person or a named policy decided. Self-contained: the study as it was seen. Key: the study."""

    topic: ClassVar[str] = "study-decided"
    owner: ClassVar[str] = "portal"
    decision: Decision
    study: Study


class StudyExpired(Event):
    """The images of a study are not needed here any more: retention lets them go, as long as the study is
    still at this revision and no other submission brought it. Key: the study."""

    topic: ClassVar[str] = "study-expired"
    owner: ClassVar[str] = "portal"
    study_id: str
    study_revision: int
    rule: Literal["in-pacs", "declined"] | str = Field(description="why they are not needed")
    submissions: tuple[str, ...] = Field(
        default=(), description="all that were known when it was decided; none: of a version that did not say"
    )


class SubmissionExpired(Event):
    """Files of a submission that are no images of a study are kept here no longer: retention lets them go, as
    long as none of its studies changed. Key: the submission."""

    topic: ClassVar[str] = "submission-expired"
    owner: ClassVar[str] = "portal"
    submission_id: str
    submission_revision: int = Field(description="of its submission-validated, as it was known")
    rule: Literal["documents", "quarantine"] | str = Field(
        description="documents that came beside the images, or files that were put aside"
    )
    studies: dict[str, int] = Field(
        default_factory=dict, description="its studies, none with images here: id and revision"
    )
    not_after: datetime | None = Field(
        default=None, description="whoever hears of it later does nothing; none: a day after its time"
    )


class PagesChanged(Event):
    """What pages show of these studies and submissions is out of date. From portal to portal: to be heard as
    it happens, and of no use later. Key: the process.
    """

    topic: ClassVar[str] = "pages-changed"
    owner: ClassVar[str] = "portal"
    process: str = Field(description="who has told its own pages already")
    ids: tuple[str, ...]


class AccountMailRequested(Event):
    """Somebody is to get a mail about their own account, or with a link for them.

    Key: the account or link.
    """

    topic: ClassVar[str] = "account-mail-requested"
    owner: ClassVar[str] = "portal"
    kind: Literal[
        "invite", "reset", "password-changed", "second-factor-off", "share", "share-code", "upload-link"
    ]
    account_id: str = ""
    to: Person
    language: str = "en"
    sealed: str = Field(description="path of the link in the mail (or the code), sealed by the site's key")
    expires_at: datetime | None = Field(default=None, description="until when the link works")
