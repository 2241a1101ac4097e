"""Talk with one update service, sans-IO: a source yields what it wants done and is sent the answers.

Holds: `effects`, the values that pass between a source and whoever drives it.

Imports: model.

Never: a socket, a clock, a task, a log line, or a URL in a text. What it learns of an answer that it cannot read is a SourceError; one bad entry
of a list is skipped and named, and the rest serve.

Add one: a module with the conversations of the service, a line in the registry, and a test against a strict fake of the service.
"""
