"""The HTTP API: `/api/v1`, described by its own OpenAPI 3.1 document.

Holds: the routes by noun (devices, updates, images, radios, sources, events, health, and the hub as a whole), the router that reads their
signatures, `requests` and `documents` (what they take and answer), `paging` (cursors), problems (RFC 9457), who may call (auth, guard), and `serve`:
the listening server.

Imports: model, ports, `engine.views`, and aiohttp, pydantic, prometheus_client. The engine itself is reached through the port `desk.Desk`.

Never: a decision about updates, a write to the store, a path taken from a request.

Add one: a route is a coroutine whose signature names its query, body and path parameters, one `Route(...)` line in the `ROUTES` of its module, its
scope in `tests/api/calls.py`, and a test; then run `python -m otagate.api.openapi` to refresh the document.
"""
