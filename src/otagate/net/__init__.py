"""Bytes from the network, and where they lie once they are here.

Holds: `cache`, the content-addressed image cache on disk.

Imports: model and ports; the standard library's files and maps.

Never: a path made of a name that came from outside, a file that is visible before it is whole and synced, or an error of the disk that is no
StoreError.

Add one: a new place to keep images is a module here that implements `ports.ImageCache` and sits the exam in tests/net/test_cache.py.
"""
