"""A loopback Mastodon, as small as demo and tests need, by the public documentation of its API."""
