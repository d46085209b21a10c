"""DICOM bytes: read, packed, reconciled, transcoded; and the DICOM network."""

from kit.dicom.preamble import looks_like_dicom

__all__ = ["looks_like_dicom"]
