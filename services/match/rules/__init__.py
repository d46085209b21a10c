"""Pure decisions of the match service."""
