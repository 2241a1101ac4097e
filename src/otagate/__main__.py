"""`python -m otagate` and the console script."""

from __future__ import annotations

from otagate.cli.app import app


def main() -> None:
    """Run one command and exit with its code."""
    app(prog_name="otagate")


if __name__ == "__main__":
    main()
