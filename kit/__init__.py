"""What the services share: ports and their adapters, tasks, errors, clock, identity."""
