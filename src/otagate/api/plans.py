"""Calls about the future: what would happen, when, and why or why not."""

from __future__ import annotations

from otagate.api import paging, plan_documents
from otagate.api.requests import PlanFilters
from otagate.api.router import Call, Route
from otagate.model.ids import DeviceId


async def show_plan(call: Call, device_id: str) -> plan_documents.DevicePlan:
    """What would happen to a device, when, and why or why not: every rule of policy with what it says. Nothing is changed."""
    return plan_documents.device_plan(await call.desk.plan(DeviceId(device_id)))


async def list_plans(call: Call, query: PlanFilters) -> plan_documents.HubPlan:
    """The same for every device, a page at a time; the first page tells the openings of windows to come, with what is likely to begin in each."""
    plan = await call.desk.plans(limit=query.limit, after=paging.DEVICES.read(query.cursor) or "", openings=query.openings)
    return plan_documents.HubPlan(
        items=tuple(plan_documents.device_plan(each) for each in plan.page.items),
        next_cursor=paging.DEVICES.write(plan.page.last),
        openings=None if plan.openings is None else tuple(plan_documents.opening_plan(each) for each in plan.openings),
    )


ROUTES = (
    Route(
        method="GET",
        path="/api/v1/devices/{device_id}/plan",
        run=show_plan,
        answers={200: plan_documents.DevicePlan},
        problems=("unknown-device", "store-unavailable"),
    ),
    Route(method="GET", path="/api/v1/plan", run=list_plans, answers={200: plan_documents.HubPlan}, problems=("store-unavailable",)),
)
