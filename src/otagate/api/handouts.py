"""The one call without a token that gives away something: a file laid ready for another program, once, to whoever knows its word."""

from __future__ import annotations

from aiohttp import web

from otagate.api.router import Call, Route
from otagate.model.errors import NotFound


async def take_handout(call: Call, *, word: str) -> web.Response:
    """A file that was laid ready for another program, as zigbee2mqtt fetches the image of its update: once, and not for long.

    Its word is the key: 256 random bits that only that program was told.
    """
    if call.hub.handouts is None:
        raise NotFound("nothing lies here")
    file = call.hub.handouts.take(word)
    return web.Response(body=file.body, content_type=file.media)


ROUTES = (
    Route(
        method="GET",
        path="/api/v1/handouts/{word}",
        run=take_handout,
        answers={200: ("application/octet-stream", "application/json")},
        scope=None,
        problems=("not-found",),
        timeout=0,
    ),
)
