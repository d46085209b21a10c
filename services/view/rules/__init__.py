"""Pure decisions of the view service."""
