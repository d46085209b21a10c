"""What a sender sees of a submission: a read model of its events, and its way out of its studies' cases."""
