"""People who sign in: passwords, second factors, sessions, links by mail. No HTTP here."""
