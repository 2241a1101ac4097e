"""`python -m otagate` and the console script."""

from __future__ import annotations

import io
import signal
import sys


def main() -> None:
    """Run one command and exit with its code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal of another encoding has not every sign, and a name of a device may hold any
    heeded = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if heeded:  # an interrupt while modules are read in ends the process: as an exception it may be lost in the import system
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    if sys.argv[1:2] == ["run"]:  # a daemon stays for months, and has no use for the other commands
        from otagate.cli.system import app
    else:
        from otagate.cli.app import app
    if heeded:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    app(prog_name="otagate")


if __name__ == "__main__":
    main()
