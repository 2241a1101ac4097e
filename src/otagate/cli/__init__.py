"""The command line: talks HTTP to the daemon like any operator.

Holds: the client (HTTP and Server-Sent Events), the live view, the tables, and one module per family of commands;
`doctor` with `checkup` and `findings` (what is wrong with a hub), and with `bundle` and `redaction` (a file for a helper),
`detect` (serial ports), which look at the machine itself.

Imports: typer, rich, aiohttp; `daemon`, `config` and the rig only inside the commands that run them, so that a client command starts quickly.

Never: a decision about updates, the API's models, a radio library.

Add one: a client command is a coroutine that takes a `Session` first; decorate it with `command(app)` in the module of its family.
"""
