"""Folders as a source of firmware.

Holds: `directory`, one look at a watched local directory: what is new, what is gone, what cannot be used and why; `watched`, that directory as a
port; `local_files`, an index that is a file here with its images beside it.

Imports: model, formats, sources' effects and ports; the standard library's files.

Never: a link that leads out of the directory, a file that is not regular, a read without a bound, a write, or silence about a file that was
passed over because it is bad.

Add one: another kind of folder is a module here with its own `scan` that answers a `ScanResult`, and its test.
"""
