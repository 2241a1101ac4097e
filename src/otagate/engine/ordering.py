"""Orders: what an operator wants for many devices at once, made into updates, or told again where it was ordered before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from otagate.engine.consultant import Consultant
from otagate.engine.drafting import Drafting
from otagate.engine.journal import Entry
from otagate.engine.ledger import Ledger, Obstacle
from otagate.engine.readings import Readings
from otagate.engine.registry import Registry
from otagate.engine.views import OrderKey, OrderRequest, OrderResult, Refusal, UpdateView
from otagate.model.errors import BadFilter, KeyReused, OtagateError, Refused, StoreError, UnknownUpdate
from otagate.model.ids import DeviceId, RadioName, UpdateId
from otagate.model.receipts import Receipt, RefusalNote
from otagate.model.rollouts import RolloutId
from otagate.model.updates import Update
from otagate.policy.activation import wish_of
from otagate.policy.job import as_job, in_turn, rest_of
from otagate.policy.window import AnyWindow
from otagate.ports import Clock, Radio, Store

KEPT_FOR = timedelta(hours=24)
"""So long an order can be sent again under its key without being made again."""

MOST_RECEIPTS = 10_000
"""Receipts that are kept at most, the newest ones."""

MOST_SELECTED = 2_000
"""Devices that one order may mean: all of them are drafted, and made in one transaction."""

_PAST = 100


class Ordering:
    """Drafts, made into rows in one transaction with the receipt of the order."""

    def __init__(
        self,
        *,
        store: Store,
        registry: Registry,
        consultant: Consultant,
        ledger: Ledger,
        readings: Readings,
        radios: Mapping[RadioName, Radio],
        clock: Clock,
        windows: Sequence[AnyWindow] = (),
    ) -> None:
        self._store = store
        self._registry = registry
        self._ledger = ledger
        self._readings = readings
        self._clock = clock
        self._drafting = Drafting(registry=registry, consultant=consultant, ledger=ledger, radios=radios, clock=clock, windows=windows)

    async def order(self, request: OrderRequest, *, actor: str, key: OrderKey | None = None) -> OrderResult:
        """Make updates, or only plan them; what is wrong with single devices is in `refused`. A plan takes no key.

        Raises with nothing made StoreUnavailable, Refused and BadFilter where no device or too many are meant, and KeyReused where the key was given
        with another order.
        """
        if request.dry_run:
            drafts, refused = await self.draft(request, actor)
            return self._result(drafts, refused)
        if key is not None and (receipt := await self._store.receipts.get(actor, key.key)) is not None:
            return await self._told_again(receipt, key)
        drafts, refused = await self.draft(request, actor)
        if not drafts and key is None:
            return self._result((), refused)
        try:
            return await self._make(drafts, refused, actor, key)
        except _OrderedMeanwhile as known:
            return await self._told_again(known.receipt, known.key)

    async def draft(self, request: OrderRequest, actor: str) -> tuple[list[Update], list[Refusal]]:
        """What an order would make, and whom it would refuse; nothing is written. Raises BadFilter, Refused, StoreUnavailable."""
        drafts: list[Update] = []
        refused: list[Refusal] = []
        for device_id in self._meant(request):
            try:
                ways, kept_back = await self._drafting.draft(device_id, request, actor)
            except StoreError:
                raise
            except OtagateError as error:
                refused.append(_refusal(device_id, error))
            else:
                drafts += _together(ways)
                refused += [_refusal(device_id, each) for each in kept_back]
        return drafts, refused

    async def again(self, update: Update, *, rollout: RolloutId | None, actor: str) -> UpdateView:
        """Order what an update was made for once more, and the rest of its job with it: what else of that did not succeed.

        Returns the first new update of the same component. Raises AlreadyUpdating, StoreUnavailable, and what an order refuses of this component;
        others that are refused are left out.
        """
        past = await self._store.updates.page(device=update.device, limit=_PAST)
        rest = rest_of(update, past)
        rest = rest if any(each.component == update.component for each in rest) else [update]
        ways: list[list[Update]] = []
        for each in rest:
            try:
                ways += (await self._drafting.draft(each.device, _once_more(each, rollout), actor))[0]
            except StoreError:
                raise
            except OtagateError:
                if each.component == update.component:
                    raise
        result = await self._make(_together(ways), [], actor, None)
        if result.refused:
            raise result.refused[0].error
        return next(each for each in result.updates if each.update.component == update.component)

    def _meant(self, request: OrderRequest) -> Sequence[DeviceId]:
        """Whom an order is for, each once."""
        if request.select is None:
            return list(dict.fromkeys(request.devices))
        found = [each.id for each in self._registry.devices() if request.select.fits(each)]
        if not found:
            raise Refused("No device is meant by that.", code="nothing-to-do", reason=None)
        if len(found) > MOST_SELECTED:
            raise BadFilter(f"that means {len(found)} devices, and one order takes {MOST_SELECTED}: narrow it by model, group or radio")
        return found

    async def _make(self, drafts: Sequence[Update], refused: list[Refusal], actor: str, key: OrderKey | None) -> OrderResult:
        made: list[Update] = []

        async def settle(results: Sequence[Update | Obstacle], _: Entry) -> None:
            for draft, result in zip(drafts, results, strict=True):
                if isinstance(result, Update):
                    made.append(result)
                else:  # another order was faster
                    refused.append(_refusal(draft.device, result))
            if key is not None:
                await self._keep(key, actor, made, refused)

        await self._ledger.create(drafts, within=settle)
        return self._result(made, refused)

    async def _keep(self, key: OrderKey, actor: str, made: Sequence[Update], refused: Sequence[Refusal]) -> None:
        """Inside of the transaction: of two orders under one key at once, the one that commits first is the order."""
        known = await self._store.receipts.get(actor, key.key)
        if known is not None:
            raise _OrderedMeanwhile(known, key)
        now = self._clock.now()
        receipt = Receipt(
            actor=actor,
            key=key.key,
            digest=key.digest,
            at=now,
            updates=tuple(each.id for each in made),
            refused=tuple(
                RefusalNote(device=each.device, code=each.error.code, detail=str(each.error), retry=each.error.retry, reason=each.reason)
                for each in refused
            ),
        )
        await self._store.receipts.put(receipt, since=now - KEPT_FOR, most=MOST_RECEIPTS)

    async def _told_again(self, receipt: Receipt, key: OrderKey) -> OrderResult:
        if receipt.digest != key.digest:
            raise KeyReused(f"the key {key.key!r:.80} was given with another order at {receipt.at.isoformat(timespec='seconds')}: take a new one")
        found = [await self._found(each) for each in receipt.updates]
        refused = [
            Refusal(device=each.device, error=Refused(each.detail, code=each.code, reason=each.reason, retry=each.retry), reason=each.reason)
            for each in receipt.refused
        ]
        return replace(self._result([each for each in found if each is not None], refused), replayed=True)

    async def _found(self, update_id: UpdateId) -> Update | None:
        try:
            return await self._store.updates.get(update_id)
        except UnknownUpdate:
            return None

    def _result(self, updates: Sequence[Update], refused: Sequence[Refusal]) -> OrderResult:
        return OrderResult(updates=tuple(self._readings.update_view(each) for each in updates), refused=tuple(refused))


def _together(ways: Sequence[Sequence[Update]]) -> list[Update]:
    """What one order makes for a device, as one job."""
    return as_job(in_turn(ways), "order")


def _once_more(update: Update, rollout: RolloutId | None) -> OrderRequest:
    """The order of what an update was made for; of a chain of versions that is its end."""
    return OrderRequest(
        devices=(update.device,),
        component=update.component,
        image=None if update.release is not None or update.link else update.image,
        release=None if update.link else update.release,
        version=update.to_version,
        allow_downgrade=update.allow_downgrade,
        force=update.force,
        override=update.override,
        because=update.because,
        activate=wish_of(update),
        priority=update.priority,
        rollout=rollout,
        wave=update.wave,
    )


class _OrderedMeanwhile(Exception):
    """The same key was taken by another order while this one was made."""

    def __init__(self, receipt: Receipt, key: OrderKey) -> None:
        super().__init__(key.key)
        self.receipt = receipt
        self.key = key


def _refusal(device: DeviceId, error: OtagateError) -> Refusal:
    return Refusal(device=device, error=error, reason=getattr(error, "reason", None))
