"""The real engines behind the cluster adapters, for development and tests: see __main__.py."""
