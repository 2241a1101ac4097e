"""Talk with one update service, sans-IO: a source yields what it wants done and is sent the answers.

Holds: `effects`, the values that pass between a source and whoever drives it; `source`, what every source is; a module a service (`ledvance`,
`iotaap`, `zwave_js`; `tuya_illume` and `tuya_thing` over `tuya_openapi`); `index`, all indexes of images; `entries`, values out of somebody else's
JSON; `registry`, each by its word in the configuration; `records` and `delegated`, what some services do besides.

Imports: model.

Never: a socket, a clock, a task, a log line, or a URL in a text. What it learns of an answer that it cannot read is a SourceError; one bad entry
of a list is skipped and named, and the rest serve.

Add one: a module with the conversations of the service, a line in the registry, and one in the exam with a strict fake of the service.
"""
