"""What reading can end in, in words a file clerk understands. No PHI in any text."""

from kit.errors import AnteroomError


class NotDicom(AnteroomError):
    """The content is something else."""


class IsDicomdir(NotDicom):
    """A media directory (PS3.10, PS3.3 F): read it with kit.dicom.dicomdir."""


class BrokenDicom(AnteroomError):
    """DICOM that can't be kept. `code` is stable and kebab-case, `text` is for the sender; `values` are
    the numbers in the text, by name."""

    def __init__(self, code: str, text: str, values: dict[str, int] | None = None) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.values = values or {}

    def __reduce__(self) -> tuple[type["BrokenDicom"], tuple[str, str, dict[str, int]]]:
        return BrokenDicom, (self.code, self.text, self.values)


def truncated(missing: int | None) -> BrokenDicom:
    much = f"{missing:,} bytes are missing at its end" if missing else "its end is missing"
    text = f"The file is incomplete: {much}. Copy it again from the source."
    return BrokenDicom("truncated", text, {"missing": missing or 0})
