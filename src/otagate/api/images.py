"""Calls about stored images. Names that clients send are text for people; bytes are found by their digest alone."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC

from aiohttp import BodyPartReader, MultipartReader, web
from aiohttp.http_exceptions import HttpProcessingError

from otagate.api import documents, paging, source_documents
from otagate.api.problems import RequestError, invalid
from otagate.api.requests import ImageFilters, ImageUpload
from otagate.api.router import Call, Reply, Route
from otagate.model.errors import TooLarge, UnknownImage
from otagate.model.ids import Sha256
from otagate.model.images import Image

PATH = "/api/v1/images"
ENVELOPE = 16 * 1024
"""Bytes that boundaries and part headers may take beside the file."""

MAX_NAME = 255
_SHA256 = re.compile(r"[0-9a-f]{64}")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


async def list_images(call: Call, query: ImageFilters) -> documents.Page[source_documents.Image]:
    """Every stored image, a page at a time, newest first."""
    newest_first = sorted(await call.desk.images(), key=_age, reverse=True)
    items, last = paging.cut(newest_first, key=_age, limit=query.limit, after=paging.IMAGES.read(query.cursor))
    found = tuple(source_documents.image_document(each) for each in items)
    return documents.Page[source_documents.Image](items=found, next_cursor=paging.IMAGES.write(last))


def _age(image: Image) -> str:
    return f"{image.added.astimezone(UTC).isoformat(timespec='microseconds')} {image.sha256}"


async def add_image(call: Call, query: ImageUpload) -> Reply:
    """Store an image from the multipart field `file`; with `dry_run`, only tell what it is. Sending the same bytes again is no error."""
    hub = call.hub
    if hub.uploads.locked():
        raise RequestError("busy", "other files are being uploaded; try again shortly")
    async with hub.uploads:
        try:
            async with asyncio.timeout(hub.settings.upload_timeout):
                name, data = await _receive(call.request, hub.settings.upload_limit)
        except TimeoutError:
            raise RequestError(
                "request-timeout", f"the file did not arrive within {hub.settings.upload_timeout:g} seconds", headers={"Connection": "close"}
            ) from None
        if query.dry_run:
            return Reply(document=source_documents.image_document(await call.desk.inspect_image(data, file_name=name)))
        document = source_documents.image_document(await call.desk.add_image(data, file_name=name, actor=call.actor))
    return Reply(document=document, status=201, headers={"Location": f"{PATH}/{document.sha256}"})


async def show_image(call: Call, sha256: str) -> source_documents.Image:
    """What a stored image says of itself."""
    return source_documents.image_document(await call.desk.image(_digest(sha256)))


async def send_content(call: Call, sha256: str) -> web.StreamResponse:
    """The bytes of an image as they are sent to a device.

    `Range` is answered with 206, an `If-None-Match` with the `ETag` of before with 304, as RFC 9110 has it.
    """
    path = await call.desk.image_path(_digest(sha256))
    disposition = {"Content-Disposition": f'attachment; filename="{sha256}.ota"', "Content-Type": "application/octet-stream"}
    return web.FileResponse(path, headers=disposition)


async def remove_image(call: Call, sha256: str) -> None:
    """Forget an image; refused while an update that has not ended needs it."""
    await call.desk.remove_image(_digest(sha256), actor=call.actor)


def _digest(text: str) -> Sha256:
    if not _SHA256.fullmatch(text):
        raise UnknownImage("an image is named by 64 lower-case hex digits")
    return Sha256(text)


async def _receive(request: web.Request, limit: int) -> tuple[str, bytes]:
    if request.content_type != "multipart/form-data":
        raise RequestError("unsupported-media-type", "send the file as multipart/form-data, in the field `file`")
    if (request.content_length or 0) > limit + ENVELOPE:
        raise _too_large(limit)
    try:
        return await _only_part(await request.multipart(), limit)
    except (ValueError, RuntimeError, AssertionError, HttpProcessingError, web.HTTPRequestEntityTooLarge):
        # what aiohttp's multipart reader raises for forms that are cut short, without boundaries or with overlong ones
        raise RequestError("malformed-request", "the multipart body is cut short or malformed", headers={"Connection": "close"}) from None


async def _only_part(form: MultipartReader, limit: int) -> tuple[str, bytes]:
    part = await form.next()
    if not isinstance(part, BodyPartReader) or part.name != "file":
        raise invalid("file", "body", "the form has exactly one field, `file`, and it holds the image")
    if "Content-Encoding" in part.headers or part.headers.get("Content-Transfer-Encoding", "binary").lower() not in {"binary", "8bit"}:
        raise invalid("file", "body", "send the bytes as they are, without an encoding")
    data = bytearray()
    while chunk := await part.read_chunk(64 * 1024):
        data += chunk
        if len(data) > limit:
            raise _too_large(limit)
    if await form.next() is not None:
        raise invalid("file", "body", "the form has exactly one field, `file`, and it holds the image")
    if not data:
        raise invalid("file", "body", "the file is empty")
    return plain_name(part.filename), bytes(data)


def plain_name(text: str | None) -> str:
    """A file name for people: the last part of what the client sent, printable, at most 255 characters."""
    last = re.split(r"[/\\]", text or "")[-1]
    return _UNPRINTABLE.sub("", last)[:MAX_NAME].strip() or "upload"


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"the file is larger than the {limit} bytes that this hub takes")


ROUTES = (
    Route(method="GET", path=PATH, run=list_images, answers={200: documents.Page[source_documents.Image]}),
    Route(
        method="POST",
        path=PATH,
        run=add_image,
        answers={200: source_documents.Image, 201: source_documents.Image},
        scope="operate",
        problems=("image-corrupt", "image-too-large", "busy", "store-unavailable"),
        timeout=0,
        multipart="file",
    ),
    Route(method="GET", path=f"{PATH}/{{sha256}}", run=show_image, answers={200: source_documents.Image}, problems=("unknown-image",)),
    Route(method="GET", path=f"{PATH}/{{sha256}}/content", run=send_content, answers={200: "application/octet-stream"}, problems=("unknown-image",)),
    Route(
        method="DELETE",
        path=f"{PATH}/{{sha256}}",
        run=remove_image,
        answers={204: None},
        scope="operate",
        problems=("unknown-image", "wrong-state"),
    ),
)
