"""Real neighbours for tests: started on free loopback ports, awaited, ended by their own pid.

A binary that is not installed skips the test with a reason; where CI is set it fails instead.
"""
