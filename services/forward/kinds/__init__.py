"""The kinds of destination forward knows. A further kind is a module of its own and a line here."""

from services.forward.kinds.dicom import DICOM
from services.forward.kinds.port import Kind
from services.forward.kinds.stow import STOW

KINDS: dict[str, Kind] = {"dicom": DICOM, "stow": STOW}
