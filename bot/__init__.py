"""The service: decides when and why, and owns every side effect."""
