"""The assembly of a hub: which adapter stands behind which port, and what each part is given; nothing runs here.

Holds: three floors: what is `known`, what it can `reach`, and the `parts` that work with both; on top the `lives` of its radios. `pace` says how
patient it is.

Imports: every room below the daemon but the API; each floor itself and those below it.

Never: a task, a decision, a default that the configuration could give.

Add one: a part is a `cached_property` on the lowest floor that has what it needs.
"""

from otagate.assembly.lives import life_of
from otagate.assembly.pace import Pace
from otagate.assembly.parts import READ_ADVISORIES, Parts

__all__ = ["READ_ADVISORIES", "Pace", "Parts", "life_of"]
