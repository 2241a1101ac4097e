"""Calls about devices."""

from __future__ import annotations

import asyncio

from otagate.api import documents, paging, rendering
from otagate.api.requests import DeviceBody, DeviceFilters
from otagate.api.router import Call, Reply, Route
from otagate.engine.views import DeviceView
from otagate.model.ids import DeviceId


async def list_devices(call: Call, query: DeviceFilters) -> documents.Page[documents.Device]:
    """Every device, a page at a time, by id."""
    page = await call.desk.devices(**query.model_dump(exclude={"cursor"}), after=paging.DEVICES.read(query.cursor) or "")
    items = tuple(rendering.device_document(each) for each in page.items)
    return documents.Page[documents.Device](items=items, next_cursor=paging.DEVICES.write(page.last))


async def show_device(call: Call, device_id: str) -> documents.Device:
    """One device with its components."""
    return rendering.device_document(await call.desk.device(DeviceId(device_id)))


async def amend_device(call: Call, device_id: str, body: DeviceBody) -> documents.Device:
    """Change what an operator says of a device: name, room, groups, pin, skipped versions, policy. What is not given stays, null clears."""
    return rendering.device_document(await call.desk.amend(DeviceId(device_id), body.patch(), actor=call.actor))


async def check_device(call: Call, device_id: str) -> Reply:
    """Ask the device now which firmware it runs. Where it does not answer in time the check goes on, and the device is answered as it is known."""
    device = DeviceId(device_id)
    try:
        async with asyncio.timeout(call.hub.settings.check_patience):
            return _checked(await call.desk.check(device, actor=call.actor), pending=False)
    except TimeoutError:
        return _checked(await call.desk.device(device), pending=True)


def _checked(view: DeviceView, *, pending: bool) -> Reply:
    document = rendering.device_document(view)
    return Reply(
        document=documents.CheckedDevice(**dict(document), check="pending" if pending else "done"),
        status=202 if pending else 200,
    )


async def list_releases(call: Call, device_id: str) -> documents.Page[documents.Offer]:
    """Every release that a source offers for the device, newest first, each with why it would or would not be taken."""
    device = DeviceId(device_id)
    view = await call.desk.device(device)
    installed = {each.component.id: each.component.version for each in view.components}
    offers = await call.desk.offers(device)
    return documents.Page[documents.Offer](
        items=tuple(rendering.offer_document(each, installed=installed.get(each.component)) for each in offers),
    )


ROUTES = (
    Route(method="GET", path="/api/v1/devices", run=list_devices, answers={200: documents.Page[documents.Device]}),
    Route(method="GET", path="/api/v1/devices/{device_id}", run=show_device, answers={200: documents.Device}, problems=("unknown-device",)),
    Route(
        method="PATCH",
        path="/api/v1/devices/{device_id}",
        run=amend_device,
        answers={200: documents.Device},
        scope="operate",
        problems=("unknown-device", "policy-refused", "store-unavailable"),
    ),
    Route(
        method="POST",
        path="/api/v1/devices/{device_id}/check",
        run=check_device,
        answers={200: documents.CheckedDevice, 202: documents.CheckedDevice},
        scope="operate",
        problems=("unknown-device", "device-unreachable", "device-refused", "radio-unavailable", "radio-in-use", "wrong-network"),
        timeout=60,
    ),
    Route(
        method="GET",
        path="/api/v1/devices/{device_id}/releases",
        run=list_releases,
        answers={200: documents.Page[documents.Offer]},
        problems=("unknown-device",),
    ),
)
