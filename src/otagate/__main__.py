"""`python -m otagate` and the console script."""

from __future__ import annotations

import sys


def main() -> None:
    """Run one command and exit with its code."""
    if sys.argv[1:2] == ["run"]:  # a daemon stays for months, and has no use for the other commands
        from otagate.cli.system import app
    else:
        from otagate.cli.app import app
    app(prog_name="otagate")


if __name__ == "__main__":
    main()
