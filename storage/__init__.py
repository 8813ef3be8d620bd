"""Durable state: tables, blobs, outbox. Knows neither the service nor the networks."""
