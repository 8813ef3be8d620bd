"""The pages: what the API knows, written by templates on the server. One file per group."""

from bot.console.pages import dataset, figures, learning, log, masks, replies, state, tracks

GROUPS = (state, replies, tracks, dataset, masks, learning, figures, log)
