"""`python -m otagate_rig SCENARIO.json`: a rig in its own process, steered over its standard input and output."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from pathlib import Path

from otagate_rig.control import BadScenarioError, serve


def main(arguments: list[str]) -> int:
    """Run the rig of the scenario file named by the one argument; return the exit status."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m otagate_rig SCENARIO.json\n")
        return 2
    try:
        scenario = json.loads(Path(arguments[0]).read_text())
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(serve(scenario))
    except (OSError, json.JSONDecodeError, BadScenarioError) as error:
        sys.stderr.write(f"{arguments[0]}: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
