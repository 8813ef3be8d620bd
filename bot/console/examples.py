"""An image that somebody sends to search by: bounded while it is read."""

from __future__ import annotations

from fastapi import Request
from starlette.exceptions import HTTPException

from bot.console.context import Here


async def example_of(request: Request, here: Here) -> bytes:
    """The body of the request. Raises 413 beyond [limits] max_image_bytes, 422 without one."""
    most = here.settings.limits.max_image_bytes
    found = bytearray()
    async for part in request.stream():
        found += part
        if len(found) > most:
            raise HTTPException(413, f"the image has more than {most} bytes")
    if not found:
        raise HTTPException(422, "send the image as the body of the request")
    return bytes(found)
