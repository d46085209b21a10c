"""Steps that prepare what is not kept in the repository."""
