"""`python -m otagate` and the console script."""

from __future__ import annotations

import io
import sys


def main() -> None:
    """Run one command and exit with its code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal of another encoding has not every sign, and a name of a device may hold any
    try:
        if sys.argv[1:2] == ["run"]:  # a daemon stays for months, and has no use for the other commands
            from otagate.cli.system import app
        else:
            from otagate.cli.app import app
        app(prog_name="otagate")
    except KeyboardInterrupt:  # while all that is read in; from there on each command ends in its own way
        sys.exit(130)


if __name__ == "__main__":
    main()
