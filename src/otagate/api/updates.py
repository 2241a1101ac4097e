"""Calls about updates."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from otagate.api import documents, paging, plan_documents, rendering
from otagate.api.auth import Scope
from otagate.api.requests import ActivationBody, LogFilters, OrderBody, UpdateBody, UpdateFilters
from otagate.api.router import Call, Header, Reply, Route
from otagate.engine.views import OrderKey
from otagate.model.ids import DeviceId, UpdateId
from otagate.model.rollouts import RolloutId

PATH = "/api/v1/updates"
IDEMPOTENCY_KEY = Header(
    name="Idempotency-Key", pattern="[!-~]{1,255}", about="1 to 255 printable ASCII characters without a space, new for every new order"
)


async def order_updates(call: Call, body: OrderBody) -> Reply:
    """Order updates of devices; with `dry_run`, tell exactly what an order would make and change nothing.

    What is wrong with single devices is in `refused`; the others go on, all of them in one. With `select`, every device that gets nothing
    is there with the reason. The same order sent again under its `Idempotency-Key` within a day is not made again: its updates are answered as they
    are now, with `Idempotency-Replayed: true`.
    """
    if not body.dry_run:
        _require_wishes(call, downgrade=body.allow_downgrade or body.rollback, overrules=body.force or bool(body.override))
    text = IDEMPOTENCY_KEY.read(call.request)
    key = None if text is None else OrderKey(key=text, digest=body.digest)
    result = await call.desk.order(body.order(), actor=call.actor, key=key)
    document = rendering.ordered_document(result, dry_run=body.dry_run)
    if body.dry_run:
        plans = call.desk.forecast([each.update for each in result.updates])
        told = tuple(plan_documents.component_plan(each) for each in plans)
        return Reply(document=plan_documents.PlannedOrder(**dict(document), plans=told))
    return Reply(
        document=document,
        status=202,
        headers={"Idempotency-Replayed": "true"} if result.replayed else {},
    )


def _require_wishes(call: Call, *, downgrade: bool, overrules: bool) -> None:
    """Raise RequestError `scope-missing` unless the caller may go back, or overrule guards, as far as that is wished."""
    if downgrade:
        call.require("downgrade")
    if overrules:
        call.require("approve")


async def list_updates(call: Call, query: UpdateFilters) -> documents.Page[documents.Update]:
    """Every update, a page at a time, newest first."""
    device = None if query.device is None else DeviceId(query.device)
    last = paging.UPDATES.read(query.cursor)
    page = await call.desk.updates(
        states=query.states,
        device=device,
        rollout=None if query.rollout is None else RolloutId(query.rollout),
        limit=query.limit,
        before=None if last is None else UpdateId(last),
    )
    items = tuple(rendering.update_document(each) for each in page.items)
    return documents.Page[documents.Update](items=items, next_cursor=paging.UPDATES.write(page.last))


async def show_update(call: Call, update_id: str) -> documents.Update:
    """One update with its progress."""
    return rendering.update_document(await call.desk.update(UpdateId(update_id)))


async def show_log(call: Call, update_id: str, query: LogFilters) -> documents.Page[documents.Fact]:
    """Everything that happened to one update, oldest first, a page at a time."""
    page = await call.desk.log(UpdateId(update_id), limit=query.limit, after=int(paging.LOG.read(query.cursor) or 0))
    items = tuple(rendering.fact_document(each) for each in page.items)
    return documents.Page[documents.Fact](items=items, next_cursor=paging.LOG.write(page.last))


async def show_behaviour(call: Call, update_id: str) -> documents.UpdateBehaviour:
    """How the device was set before one update (groups, bindings, reporting, ...), and what became of that."""
    before = await call.desk.portrait(UpdateId(update_id))
    return rendering.behaviour_document(before, await call.desk.update(UpdateId(update_id)))


async def amend_update(call: Call, update_id: str, body: UpdateBody) -> documents.Update:
    """Let an update go before others, or behind them; what has begun goes on as it is."""
    return rendering.update_document(await call.desk.prioritize(UpdateId(update_id), body.priority, actor=call.actor))


async def cancel_update(call: Call, update_id: str) -> documents.Update:
    """Cancel an update. The device may have gone too far; then this answers `not-cancellable`."""
    return rendering.update_document(await call.desk.cancel(UpdateId(update_id), actor=call.actor))


async def pause_update(call: Call, update_id: str) -> documents.Update:
    """Pause an update; it keeps its state and what the device has."""
    return rendering.update_document(await call.desk.pause(UpdateId(update_id), actor=call.actor))


async def resume_update(call: Call, update_id: str) -> documents.Update:
    """Let a paused update go on."""
    return rendering.update_document(await call.desk.resume(UpdateId(update_id), actor=call.actor))


async def retry_update(call: Call, update_id: str) -> Reply:
    """Make a new update from one that ended, with the wishes of its order; who may not order them may not repeat them."""
    before = (await call.desk.update(UpdateId(update_id))).update
    _require_wishes(call, downgrade=before.allow_downgrade, overrules=before.force or bool(before.override))
    document = rendering.update_document(await call.desk.retry(UpdateId(update_id), actor=call.actor))
    return Reply(document=document, status=202, headers={"Location": f"{PATH}/{document.id}"})


async def approve_update(call: Call, update_id: str) -> documents.Update:
    """Approve a planned update."""
    return rendering.update_document(await call.desk.approve(UpdateId(update_id), actor=call.actor))


async def activate_update(call: Call, update_id: str) -> documents.Update:
    """Tell the device to use the image that it holds."""
    return rendering.update_document(await call.desk.activate(UpdateId(update_id), actor=call.actor))


async def activate_updates(call: Call, body: ActivationBody) -> documents.Activations:
    """Tell many devices to use the images that they hold, all within seconds.

    Whoever is not there yet, does not answer, sleeps or is spared is told so here, and is told to use the image when it can be; sent again, nothing
    changes.
    """
    _require_wishes(call, downgrade=False, overrules=bool(body.override))
    return rendering.activations_document(await call.desk.activate_all(body.request(), actor=call.actor))


def _act(
    verb: str, run: Callable[..., Awaitable[documents.Update | Reply]], *, status: int = 200, scope: Scope = "operate", problems: tuple[str, ...] = ()
) -> Route:
    return Route(
        method="POST",
        path=f"{PATH}/{{update_id}}/{verb}",
        run=run,
        answers={status: documents.Update},
        scope=scope,
        problems=("unknown-update", "wrong-state", *problems),
    )


ROUTES = (
    Route(
        method="POST",
        path=PATH,
        run=order_updates,
        answers={200: plan_documents.PlannedOrder, 202: documents.Ordered},
        scope="operate",
        problems=("idempotency-key-reused", "nothing-to-do", "store-unavailable"),
        headers=(IDEMPOTENCY_KEY,),
    ),
    Route(method="GET", path=PATH, run=list_updates, answers={200: documents.Page[documents.Update]}),
    Route(method="GET", path=f"{PATH}/{{update_id}}", run=show_update, answers={200: documents.Update}, problems=("unknown-update",)),
    Route(
        method="GET",
        path=f"{PATH}/{{update_id}}/behaviour",
        run=show_behaviour,
        answers={200: documents.UpdateBehaviour},
        problems=("unknown-update",),
    ),
    Route(method="GET", path=f"{PATH}/{{update_id}}/log", run=show_log, answers={200: documents.Page[documents.Fact]}, problems=("unknown-update",)),
    Route(
        method="PATCH",
        path=f"{PATH}/{{update_id}}",
        run=amend_update,
        answers={200: documents.Update},
        scope="operate",
        problems=("unknown-update", "wrong-state", "store-unavailable"),
    ),
    _act("cancel", cancel_update, problems=("not-cancellable",)),
    _act("pause", pause_update),
    _act("resume", resume_update),
    _act("retry", retry_update, status=202, problems=("already-updating",)),
    _act("approve", approve_update, scope="approve"),
    _act("activate", activate_update),
    Route(
        method="POST",
        path="/api/v1/activations",
        run=activate_updates,
        answers={200: documents.Activations},
        scope="operate",
        problems=("nothing-to-do", "policy-refused", "store-unavailable"),
    ),
)
