"""The world as policy sees it at one moment."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set

from otagate.engine.halt import Halt, RadioPauses
from otagate.engine.inquiries import Inquiries
from otagate.engine.registry import Registry
from otagate.model.ids import DeviceId, UpdateId
from otagate.model.updates import Update
from otagate.policy.air import Air, RadioAir
from otagate.policy.guards import House, PolicyOf, Watch
from otagate.policy.settings import PolicySettings
from otagate.policy.window import AnyWindow, judge_clock
from otagate.ports import Clock


class Outlook:
    """Reads registry, halt, clock and answers; decides nothing. `trouble_of`: see `policy.air.Air`.

    `synced`: False where something keeps the machine's time and has not set it yet.
    """

    def __init__(
        self,
        *,
        registry: Registry,
        halt: Halt,
        radio_pauses: RadioPauses,
        clock: Clock,
        policy_of: PolicyOf,
        inquiries: Inquiries,
        windows: Sequence[AnyWindow] = (),
        synced: Callable[[], bool] = lambda: True,
        twins: Mapping[DeviceId, Set[DeviceId]] | None = None,
        trouble_of: Callable[[Update], str | None] = lambda _: None,
    ) -> None:
        self._registry = registry
        self._halt = halt
        self._radio_pauses = radio_pauses
        self._clock = clock
        self.inquiries = inquiries
        self._synced = synced
        self.policy_of = policy_of
        self.windows = tuple(windows)
        self._twins = twins or {}
        self._trouble_of = trouble_of

    def house(self) -> House:
        """What the guards know."""
        return House(
            windows=self.windows,
            clock=judge_clock(self._clock.now(), synced=self._synced()),
            interlocks=self.inquiries.interlocks(),
            in_use=self.inquiries.in_use(),
            kin=self._registry.kin,
            links=self._registry.links,
        )

    def watch(self) -> Watch:
        """The guards now."""
        return Watch(now=self._clock.now(), house=self.house())

    def air(self, still: Iterable[UpdateId] = ()) -> Air:
        """Everything that admission is decided by; `still` are the updates that stand still."""
        registry = self._registry
        radios = {
            name: RadioAir(
                up=status.state == "up",
                parallel=status.parallel,
                slow=status.slow,
                reason="in_use" if status.state in ("in_use", "lent") else "offline",
                sentence=f"Radio {name} is {status.state}: {status.sentence}",
                load=status.load,
                paused=self._radio_pauses.sentence(name),
            )
            for name, status in registry.radios.items()
        }
        return Air(
            radios=radios,
            devices=registry.by_id(),
            halted=self._halt.on,
            paused=frozenset(still),
            asleep=frozenset(registry.asleep),
            twins=self._twins,
            policy_of=self.policy_of,
            house=self.house(),
            trouble_of=self._trouble_of,
        )

    def settings_of(self, update: Update) -> PolicySettings:
        """What holds for the device of an update; for one that is not known, what holds for nobody in particular."""
        device = self._registry.known(update.device)
        return PolicySettings() if device is None else self.policy_of(device)
