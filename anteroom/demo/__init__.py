"""The demo: Anteroom with neighbours of its own, a real study and a journey to watch."""
