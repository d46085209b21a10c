"""What topics and groups are called by people; their technical names stand beside. Pure."""

TOPIC_NAMES: dict[str, str] = {
    "submission-opened": "A submission begins",
    "batch-received": "Files arrived",
    "submission-closed": "A submission is complete",
    "commitment-reported": "A PACS confirmed storage",
    "batch-expanded": "An archive was unpacked",
    "pack-written": "Images were stored",
    "pack-merged": "A study took images in",
    "batch-settled": "Every file of a batch has its state",
    "study-arrived": "A study arrived",
    "study-updated": "A study changed",
    "study-removed": "Images of a study were removed",
    "submission-validated": "A submission is checked",
    "submission-cleared": "Files of a submission were removed",
    "file-quarantined": "A file was put aside",
    "hl7-received": "An HL7 message came",
    "patient-changed": "Patient data changed",
    "patient-merged": "Two patients are one",
    "study-matched": "A study has its patient",
    "study-unmatched": "A study lacks its patient",
    "study-decided": "A study was decided on",
    "study-expired": "Images may go",
    "submission-expired": "Files of a submission may go",
    "account-mail-requested": "A mail about an account is wanted",
    "study-viewed": "Images were looked at",
    "study-forwarded": "A study is in the PACS",
    "forward-failed": "A delivery failed",
    "delivery-retried": "A delivery is tried again",
    "destination-away": "A destination does not answer",
    "destination-back": "A destination answers again",
    "notice-sent": "A message went out",
    "notice-failed": "A message could not be sent",
    "pages-changed": "Open pages look again",
}
GROUP_NAMES: dict[str, str] = {
    "validate": "Checking files",
    "validate-incoming": "Clearing what was checked",
    "match": "Finding patients",
    "portal": "Inbox",
    "portal-audience": "Who may see what",
    "portal-audit": "Audit trail",
    "portal-tracks": "Following submissions",
    "portal-retention": "Ledger of retention",
    "view": "Showing images",
    "view-pictures": "Preparing previews",
    "forward": "Delivering to the PACS",
    "notify": "Messages",
}


def topic_name(topic: str) -> str:
    """The technical name where another version has one more."""
    return TOPIC_NAMES.get(topic, topic)


def group_name(group: str) -> str:
    return GROUP_NAMES.get(group, group)
