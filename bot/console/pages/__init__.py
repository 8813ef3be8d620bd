"""The pages: what the API knows, written by templates on the server. One file per group."""

from bot.console.pages import log, replies, state, tracks

GROUPS = (state, replies, tracks, log)
