"""Where approved studies go. Written by portal alone, read by all."""

from typing import Literal

from kit.documents.port import Collection, Doc


class Destination(Doc):
    """A clean PACS, by name (the id). STOW destinations use `url`, the others host, port and AE titles."""

    kind: Literal["dicom", "stow"] = "dicom"
    host: str = ""
    port: int = 0
    called_ae: str = ""
    calling_ae: str = "ANTEROOM"
    url: str = ""
    tls: bool = False
    tls_ca: str = ""
    commitment: bool = True
    commitment_timeout_s: float = 60
    """How long to wait for N-EVENT-REPORT before falling back to an IMAGE-level C-FIND."""


DESTINATIONS = Collection("destinations", Destination)
