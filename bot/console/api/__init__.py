"""Everything that the pages show and do. Reading needs a viewer, changing needs a reviewer.

A program sends `Authorization: Bearer PASSWORD`, with the password of its role. On the loopback
address the console may have no password; then it needs none. Moments are ISO 8601 in UTC. What is
refused is answered with `{"error": "..."}` and a status of HTTP.
"""

from bot.console.api import (
    dataset,
    description,
    events,
    figures,
    learning,
    log,
    masks,
    replies,
    state,
    tracks,
)

GROUPS = (state, replies, tracks, dataset, masks, learning, figures, events, log, description)
