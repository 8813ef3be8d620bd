"""The pages: what the API knows, written by templates on the server. One file per group."""

from bot.console.pages import log, state

GROUPS = (state, log)
