"""The assembly of a hub: which adapter stands behind which port, and what each part is given; nothing runs here.

Three floors: what is `known`, what it can `reach`, and the `parts` that work with both. Each uses its own floor and those below it.
"""

from otagate.assembly.pace import Pace
from otagate.assembly.parts import READ_ADVISORIES, Parts

__all__ = ["READ_ADVISORIES", "Pace", "Parts"]
