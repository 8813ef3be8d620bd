"""Fixtures every test may ask for."""

from tests.databases import connect, database, database_url, postgres_server
from tests.sandbox import no_foreign_ca, raw_client, sandbox

__all__ = [
    "connect",
    "database",
    "database_url",
    "no_foreign_ca",
    "postgres_server",
    "raw_client",
    "sandbox",
]
