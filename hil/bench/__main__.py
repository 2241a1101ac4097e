"""`python -m hil.bench [PART…] [--quick | --smallest] [--out PATH] [--json]`: run every part, print what should be reached, what was, and its spread.

Several parts run in a process each: none of them measures what another has left behind, and one that breaks does not take the others with it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hil.bench import peers
from hil.bench.children import ChildError
from hil.bench.measure import WrongTransferError
from hil.bench.parts import OF_ROWS, Part, Size, parts
from hil.bench.rows import HERDSMEN, STACKS, HostName
from hil.bench.verdicts import Json, judged, lines_of, machine, spread
from otagate_rig.node_packages import NodeMissingError
from otagate_rig.zwave import RigError

REPEATS = 3

_PART_BOUND = 1_800.0

MISSING = (NodeMissingError, ImportError)
FAILED = (ChildError, WrongTransferError, RigError, TimeoutError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What to run, how often, and where to tell it."""

    size: Size = "full"
    names: tuple[str, ...] = ()
    stack: str | None = None
    without: tuple[HostName, ...] = ()
    repeats: int = REPEATS
    out: Path | None = None
    as_json: bool = False


def options(arguments: Sequence[str] | None = None) -> Options:
    """Read the command line. Exits where it is wrong."""
    parser = argparse.ArgumentParser(prog="python -m hil.bench", description="What the hub does, and what it costs, held against what it should.")
    known = tuple(parts("full"))
    parser.add_argument("names", nargs="*", metavar="PART", help=f"only these: {', '.join(known)}")
    parser.add_argument("--quick", action="store_const", const="quick", default="full", dest="size", help="one short run of what takes least")
    parser.add_argument("--smallest", action="store_const", const="smallest", dest="size", help="see that it works: the figures mean nothing")
    parser.add_argument("--repeats", type=int, help=f"of every part ({REPEATS}, of a short run 1)")
    parser.add_argument("--stack", choices=STACKS, help="the rows of one radio stack only")
    parser.add_argument("--without-herdsman", action="store_true", help="no Node.js: zigpy is the only peer")
    parser.add_argument("--out", type=Path, help="write the JSON document to this file too")
    parser.add_argument("--json", action="store_true", help="print the JSON document instead of lines")
    chosen = parser.parse_args(arguments)
    if strange := set(chosen.names) - set(known):
        parser.error(f"there is no part {', '.join(sorted(strange))}")
    return Options(
        size=chosen.size,
        names=tuple(chosen.names),
        stack=chosen.stack,
        without=HERDSMEN if chosen.without_herdsman else (),
        repeats=chosen.repeats or (REPEATS if chosen.size == "full" else 1),
        out=chosen.out,
        as_json=chosen.json,
    )


async def run(part: Part, size: Size, repeats: int) -> Json:
    """One part, as often as it needs. Raises `FAILED`, `MISSING`."""
    runs = []
    for _ in range(1 if part.once else repeats):
        with tempfile.TemporaryDirectory(prefix="otagate-bench-") as scratch:
            runs.append(await part.run[size](Path(scratch)))
    figures = spread(runs)
    return {"runs": len(runs), "reaches": [] if size == "smallest" else judged(figures, part.reaches), "figures": figures}


def document(chosen: Options) -> Json:
    """Run everything that is chosen; what fails or cannot be measured here is told in its place."""
    began = time.monotonic()
    found: Json = {"machine": machine(), "size": chosen.size, "parts": {}, "minutes": 0.0}
    known = parts(chosen.size, stack=chosen.stack, without=chosen.without)
    names = [name for name in known if name in (chosen.names or known)]
    for name in names:
        if len(names) == 1:
            found["parts"][name] = _here(known[name], chosen)
        else:
            sys.stderr.write(f"{name} …\n")
            found["parts"][name] = _apart(name, chosen)
        found["minutes"] = round((time.monotonic() - began) / 60, 1)
        _keep(found, chosen.out)
    return found


def _keep(found: Json, out: Path | None) -> None:
    """After every part, so that a run that is broken off has told what it had."""
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(found, indent=2) + "\n")


def _here(part: Part, chosen: Options) -> Json:
    try:
        return asyncio.run(run(part, chosen.size, chosen.repeats))
    except MISSING as error:
        return {"missing": str(error)}
    except FAILED as error:
        return {"failed": str(error) or "it did not get there in time"}


def _apart(name: str, chosen: Options) -> Json:
    arguments = [name, "--json", "--repeats", str(chosen.repeats)]
    arguments += [] if chosen.size == "full" else [f"--{chosen.size}"]
    arguments += ["--stack", chosen.stack] if chosen.stack else []
    arguments += ["--without-herdsman"] if chosen.without else []
    try:
        ran = subprocess.run([sys.executable, "-m", "hil.bench", *arguments], stdout=subprocess.PIPE, text=True, timeout=_PART_BOUND, check=False)
        told: Json = json.loads(ran.stdout)["parts"][name]
    except subprocess.TimeoutExpired:
        return {"failed": f"it was not over within {_PART_BOUND / 60:.0f} minutes"}
    except ValueError:
        return {"failed": f"it ended with status {ran.returncode}"}
    return told


def lines(found: Json) -> str:
    """The document for people."""
    where = found["machine"]
    told = [f"{where['processor']}, {where['cores']} cores, load {where['load'][0]}; {where['system']}, Python {where['python']}"]
    told += [", ".join(f"{name} {number}" for name, number in where["versions"].items()), ""]
    for name, part in found["parts"].items():
        if "runs" not in part:
            told += [f"{name}: not measured, {part.get('missing') or part.get('failed')}", ""]
            continue
        told.append(f"{name}, {part['runs']} {'run' if part['runs'] == 1 else 'runs'}")
        if name == "peers":
            told += peers.table(part, OF_ROWS[found["size"]])
            part = part | {"figures": {key: values for key, values in part["figures"].items() if "/" not in key}}
        told += [*lines_of(part), ""]
    if found["size"] == "smallest":
        return "\n".join([*told, "too short to be held against anything"])
    verdicts = [each["met"] for part in found["parts"].values() for each in part.get("reaches", ())]
    return "\n".join([*told, f"{sum(verdicts)} of {len(verdicts)} reached, {found['minutes']} minutes"])


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when every figure could be measured, or lacks a program that is not here; goals are told, they do not change the status."""
    chosen = options(arguments)
    found = document(chosen)
    print(json.dumps(found, indent=2) if chosen.as_json else lines(found))
    return 1 if any("failed" in part for part in found["parts"].values()) else 0


if __name__ == "__main__":
    sys.exit(main())
