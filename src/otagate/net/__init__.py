"""Bytes from the network, and where they lie once they are here.

Holds: `cache`, the content-addressed image cache on disk; `http`, the one HTTP client, with `addresses` (who may be reached), `trust` (whose
certificates), `bodies` (bounded reading), `fetching` (one file through all of its tries), `quotas` (what a service may be asked), `answers` (kept
under their ETag), `replies`; `offline` (where the client would stand, on a hub that asks nobody outside); `interlocks` and `notices` over HTTP.

Imports: model, sources' effects and ports; aiohttp; the standard library's files and maps.

Never: a path made of a name that came from outside, a file that is visible before it is whole and synced, an error of the disk that is no
StoreError, or a URL in a text: some carry tokens.

Add one: a new place to keep images is a module here that implements `ports.ImageCache` and sits the exam in tests/net/test_cache.py.
"""
