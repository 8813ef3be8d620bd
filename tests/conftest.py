"""Fixtures every test may ask for."""

from tests.databases import database, database_url, open_database, postgres_server
from tests.sandbox import no_foreign_ca, raw_client, sandbox

__all__ = [
    "database",
    "database_url",
    "no_foreign_ca",
    "open_database",
    "postgres_server",
    "raw_client",
    "sandbox",
]
