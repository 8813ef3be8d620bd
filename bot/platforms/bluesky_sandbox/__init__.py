"""A real Bluesky network on this machine, for demo and tests; its own process."""
