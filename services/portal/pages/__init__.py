"""The pages people see: each module a part of the portal, rendered on the server through frame."""
