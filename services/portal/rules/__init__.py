"""Pure decisions of the portal: the state of a case, what a decision may say, what a policy may do."""
