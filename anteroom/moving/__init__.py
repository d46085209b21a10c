"""Whole installations: backing them up, restoring them, moving from one machine to a cluster."""
