"""The services: each its own process and Deployment; they never import each other."""
