"""The decisions of forward, pure: states, statuses, contexts, precedence between decisions."""
