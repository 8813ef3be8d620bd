"""The server's things as JSON, as its API documents them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from bot.platforms.mastodon_sandbox.world import (
    Image,
    Notification,
    Person,
    Status,
    World,
    as_html,
    tags_of,
)

Json = dict[str, Any]


class Shapes:
    def __init__(self, world: World, base: str) -> None:
        self._world = world
        self._base = base

    def person(self, person: Person) -> Json:
        return {
            "id": person.person_id,
            "username": person.name,
            "acct": person.name,
            "display_name": person.name.title(),
            "note": as_html(person.note, self._world, self._base),
            "url": f"{self._base}/@{person.name}",
            "bot": person.bot,
            "locked": person.locked,
            "fields": [],
            "statuses_count": sum(
                one.person.person_id == person.person_id for one in self._world.shown()
            ),
        }

    def image(self, image: Image) -> Json:
        url = None if image.looks else f"{self._base}/media/{image.image_id}"
        width, height = image.size
        return {
            "id": image.image_id,
            "type": "image",
            "url": url,
            "preview_url": url,
            "remote_url": None,
            "description": image.description or None,
            "meta": {"original": {"width": width, "height": height}},
        }

    def status(self, status: Status) -> Json:
        boosted = self._world.statuses.get(status.boost_of)
        name, _, server = status.person.name.partition("@")
        at = f"https://{server}" if server else self._base  # where it was published
        return {
            "id": status.status_id,
            "created_at": _time(status.created),
            "in_reply_to_id": status.reply_to or None,
            "visibility": status.visibility,
            "spoiler_text": status.spoiler_text,
            "sensitive": status.sensitive,
            "language": status.language or None,
            "uri": f"{at}/users/{name}/statuses/{status.status_id}",
            "url": f"{at}/@{name}/{status.status_id}",
            "content": as_html(status.text, self._world, self._base),
            "reblog": self.status(boosted) if boosted else None,
            "account": self.person(status.person),
            "media_attachments": [self.image(one) for one in status.images],
            "mentions": [
                {"id": one.person_id, "username": one.name, "acct": one.name, "url": ""}
                for one in self._world.mentioned(status.text)
            ],
            "tags": [{"name": tag, "url": ""} for tag in tags_of(status)],
            "replies_count": len(self._world.replies(status.status_id)),
            "favourites_count": 0,
        }

    def notification(self, said: Notification) -> Json | None:
        """None when its status is gone."""
        try:
            status = self._world.status(said.status_id)
        except KeyError:
            return None
        return {
            "id": said.notification_id,
            "type": "mention",
            "created_at": _time(status.created),
            "account": self.person(status.person),
            "status": self.status(status),
        }


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
