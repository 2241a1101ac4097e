"""The page: the files of `otagate/page`, read once, served at `/` and below `/page/<digest>/`, to everybody and without a secret in them.

The digest is that of all files together, so that each may be kept for ever: another edition of the page has other addresses. Only `/` itself is asked
for anew each time. What a request names is looked up in a table; no path is opened for it.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

FOLDER = Path(__file__).parent.parent / "page"
START = "index.html"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
"""No inline script or style, nothing from elsewhere, and no text that becomes markup."""

_TYPES = {".js": "text/javascript", ".css": "text/css", ".html": "text/html", ".svg": "image/svg+xml"}
_FOR_EVER = "public, max-age=31536000, immutable"
_PRELOADS = "<!--preloads-->"
_LATER = "views/"
"""What is below this is read when somebody goes there, and not before."""

_BASE = "/page/-/"
"""What stands in `index.html` for the address of an edition."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """One file of the page as it is sent: `etag` is strong, and of these very bytes; `packed` is the same in gzip."""

    body: bytes
    packed: bytes
    kind: str
    etag: str
    caching: str


def assets(folder: Path = FOLDER) -> Mapping[str, Asset]:
    """Every file of the page by its address."""
    files = {each.relative_to(folder).as_posix(): each.read_bytes() for each in sorted(folder.rglob("*")) if each.suffix in _TYPES}
    edition = hashlib.sha256(b"".join(name.encode() + b"\0" + body for name, body in files.items())).hexdigest()[:16]
    base = f"/page/{edition}/"
    start = files.pop(START).decode()
    preloads = "\n".join(f'<link rel="modulepreload" href="{base}{name}">' for name in files if name.endswith(".js") and not name.startswith(_LATER))
    page = start.replace(_BASE, base).replace(_PRELOADS, preloads).encode()
    return {"/": _asset(START, page, "no-cache")} | {base + name: _asset(name, body, _FOR_EVER) for name, body in files.items()}


def _asset(name: str, body: bytes, caching: str) -> Asset:
    packed = gzip.compress(body, 9, mtime=0)
    return Asset(body=body, packed=packed, kind=_TYPES[Path(name).suffix], etag=hashlib.sha256(body).hexdigest()[:16], caching=caching)


def attach_page(app: web.Application, page: Mapping[str, Asset]) -> None:
    """Register every file of the page with the application."""
    for path, asset in page.items():
        app.router.add_get(path, _sender(asset))


def _sender(asset: Asset) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def send(request: web.Request) -> web.Response:
        packs = "gzip" in request.headers.get("Accept-Encoding", "").lower()
        etag = f"{asset.etag}-gzip" if packs else asset.etag  # other bytes, another strong tag
        headers = {
            "Cache-Control": asset.caching,
            "Content-Security-Policy": POLICY,
            "Vary": "Accept-Encoding",
            "ETag": f'"{etag}"',
        }
        if any(each.value in (etag, "*") for each in request.if_none_match or ()):
            return web.Response(status=304, headers=headers)
        if packs:
            headers["Content-Encoding"] = "gzip"
        return web.Response(body=asset.packed if packs else asset.body, content_type=asset.kind, charset="utf-8", headers=headers)

    return send
