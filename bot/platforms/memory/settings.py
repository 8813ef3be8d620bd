"""The keys of an account in memory."""

from __future__ import annotations

from pydantic import SecretStr

from bot.platforms.account import Account


class MemoryAccount(Account):
    server: str = "home.example"
    token: SecretStr | None = None

    @property
    def handle(self) -> str:
        return f"{self.username}@{self.server}"

    @property
    def network(self) -> str:
        return self.server
