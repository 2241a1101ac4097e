"""The ports: what the engine needs of the world, as Protocols and the values that cross them.

Holds: what `radios` (with `events`, what they tell), `stores`, `net` and `folders` (both in `outside`) implement, the `broker`, `notices` (who
carries them), `handouts` (files that are handed out once), and `time`.

Imports: `sources`, `sessions`, `policy` and `model`, for the values that cross.

Never: an implementation; who stands behind a port only `assembly` knows.

Add one: a Protocol in the file of its neighbours, a line here, an exam in `tests/contracts` that every adapter sits.
"""

from otagate.ports.broker import Broker, Listener, Message, Wanted
from otagate.ports.events import (
    DeviceAsked,
    DeviceFound,
    DeviceGone,
    DeviceReturned,
    DeviceSeen,
    DeviceSilent,
    DeviceSlept,
    Emit,
    ForeignTransfer,
    Knocked,
    Loan,
    RadioChanged,
    RadioEvent,
    RadioLoaded,
    RadioNews,
    RadioNoticed,
    RadioState,
    TransferAdvanced,
    TransferProgressed,
)
from otagate.ports.handouts import Handout, Handouts
from otagate.ports.notices import Courier, Outgoing
from otagate.ports.outside import Conversations, Folder, FolderScan, HttpClient, ImageCache, Interlock, Quotas, Standing
from otagate.ports.radios import Handover, Keeping, Lendable, Network, Observant, Radio, RadioBackup
from otagate.ports.stores import Catalogue, Devices, Facts, Portraits, Receipts, Rollouts, Settings, Store, StoreCopies, StoreCopy, Updates
from otagate.ports.time import Clock

__all__ = [
    "Broker",
    "Catalogue",
    "Clock",
    "Conversations",
    "Courier",
    "DeviceAsked",
    "DeviceFound",
    "DeviceGone",
    "DeviceReturned",
    "DeviceSeen",
    "DeviceSilent",
    "DeviceSlept",
    "Devices",
    "Emit",
    "Facts",
    "Folder",
    "FolderScan",
    "ForeignTransfer",
    "Handout",
    "Handouts",
    "Handover",
    "HttpClient",
    "ImageCache",
    "Interlock",
    "Keeping",
    "Knocked",
    "Lendable",
    "Listener",
    "Loan",
    "Message",
    "Network",
    "Observant",
    "Outgoing",
    "Portraits",
    "Quotas",
    "Radio",
    "RadioBackup",
    "RadioChanged",
    "RadioEvent",
    "RadioLoaded",
    "RadioNews",
    "RadioNoticed",
    "RadioState",
    "Receipts",
    "Rollouts",
    "Settings",
    "Standing",
    "Store",
    "StoreCopies",
    "StoreCopy",
    "TransferAdvanced",
    "TransferProgressed",
    "Updates",
    "Wanted",
]
