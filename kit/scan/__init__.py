"""Antivirus scanning."""
