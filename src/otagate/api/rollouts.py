"""Calls about rollouts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from otagate.api import documents, paging
from otagate.api.auth import Scope
from otagate.api.rollout_documents import OrderedRollout, Rollout, RolloutBody, RolloutFilters, ordered_rollout, rollout_document
from otagate.api.router import Call, Reply, Route
from otagate.model.rollouts import RolloutId

PATH = "/api/v1/rollouts"


async def order_rollout(call: Call, body: RolloutBody) -> Reply:
    """Order a rollout: an update for every device that it is for, in waves that open one after another; with `dry_run`, only tell what it would be.

    What is wrong with single devices is in `refused`; the others go on.
    """
    result = await call.desk.order_rollout(body.request(), actor=call.actor)
    document = ordered_rollout(result, dry_run=body.dry_run)
    if body.dry_run:
        return Reply(document=document)
    return Reply(document=document, status=202, headers={"Location": f"{PATH}/{document.id}"})


async def list_rollouts(call: Call, query: RolloutFilters) -> documents.Page[Rollout]:
    """Every rollout, a page at a time, newest first."""
    views = call.desk.rollouts()
    page, last = paging.cut(views, key=lambda each: each.rollout.id, limit=query.limit, after=paging.ROLLOUTS.read(query.cursor))
    return documents.Page[Rollout](items=tuple(rollout_document(each) for each in page), next_cursor=paging.ROLLOUTS.write(last))


async def show_rollout(call: Call, rollout_id: str) -> Rollout:
    """One rollout with its waves."""
    return rollout_document(call.desk.rollout(RolloutId(rollout_id)))


async def pause_rollout(call: Call, rollout_id: str) -> Rollout:
    """Let nothing of it begin any more; what is on the air goes on."""
    return rollout_document(await call.desk.pause_rollout(RolloutId(rollout_id), actor=call.actor))


async def resume_rollout(call: Call, rollout_id: str) -> Rollout:
    """Let one that is paused or halted go on: failures so far stop it no more."""
    return rollout_document(await call.desk.resume_rollout(RolloutId(rollout_id), actor=call.actor))


async def halt_rollout(call: Call, rollout_id: str) -> Rollout:
    """Let nothing of it move any more, from the next block on."""
    return rollout_document(await call.desk.halt_rollout(RolloutId(rollout_id), actor=call.actor))


async def approve_rollout(call: Call, rollout_id: str) -> Rollout:
    """Open the wave that waits for an operator."""
    return rollout_document(await call.desk.approve_rollout(RolloutId(rollout_id), actor=call.actor))


async def cancel_rollout(call: Call, rollout_id: str) -> Rollout:
    """End it: its updates that have not ended are cancelled as far as that can be."""
    return rollout_document(await call.desk.cancel_rollout(RolloutId(rollout_id), actor=call.actor))


def _act(verb: str, run: Callable[..., Awaitable[Rollout]], *, scope: Scope = "operate") -> Route:
    return Route(
        method="POST",
        path=f"{PATH}/{{rollout_id}}/{verb}",
        run=run,
        answers={200: Rollout},
        scope=scope,
        problems=("unknown-rollout", "wrong-state", "store-unavailable"),
    )


ROUTES = (
    Route(
        method="POST",
        path=PATH,
        run=order_rollout,
        answers={200: OrderedRollout, 202: OrderedRollout},
        scope="operate",
        problems=("nothing-to-do", "rollout-exists", "store-unavailable"),
    ),
    Route(method="GET", path=PATH, run=list_rollouts, answers={200: documents.Page[Rollout]}),
    Route(method="GET", path=f"{PATH}/{{rollout_id}}", run=show_rollout, answers={200: Rollout}, problems=("unknown-rollout",)),
    _act("pause", pause_rollout),
    _act("resume", resume_rollout, scope="approve"),
    _act("halt", halt_rollout),
    _act("approve", approve_rollout, scope="approve"),
    _act("cancel", cancel_rollout),
)
