"""A client of the HTTP API in plain blocking Python: for the command line, and for scripts."""
