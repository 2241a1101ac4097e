"""Calls about radios."""

from __future__ import annotations

from otagate.api import documents, radio_documents
from otagate.api.requests import HaltBody, PermitJoinBody
from otagate.api.router import Call, Reply, Route
from otagate.model.errors import UnknownRadio

PATH = "/api/v1/radios"


async def list_radios(call: Call) -> documents.Page[radio_documents.Radio]:
    """Every configured radio."""
    return documents.Page[radio_documents.Radio](items=tuple(radio_documents.radio_document(each) for each in call.desk.radios()))


async def permit_join(call: Call, name: str, body: PermitJoinBody) -> radio_documents.PermitJoin:
    """Open the radio's network for new devices for a while; 0 seconds closes it."""
    await call.desk.permit_join(name, body.seconds, actor=call.actor)
    return radio_documents.PermitJoin(radio=name, seconds=body.seconds)


async def back_up_radio(call: Call, name: str) -> Reply:
    """Copy the radio's network to a file that only the hub's user reads. The file holds the network key; this answer does not."""
    return Reply(document=radio_documents.backup_document(await call.desk.back_up(name, actor=call.actor)), status=201)


async def pause_radio(call: Call, name: str, body: HaltBody) -> radio_documents.Radio:
    """Let a radio stand still: its transfers wait where they are, and none begins, over restarts too. Pausing again changes nothing."""
    return radio_documents.radio_document(await call.desk.pause_radio(name, actor=call.actor, because=body.because))


async def resume_radio(call: Call, name: str) -> radio_documents.Radio:
    """Let a radio go on where it was. One that is not paused stays as it is."""
    return radio_documents.radio_document(await call.desk.resume_radio(name, actor=call.actor))


async def reattach_radio(call: Call, name: str) -> Reply:
    """Try a radio again now that the operator has settled why it was left alone (`in_use`, `wrong_network`), or borrow one that is `lent`."""
    await call.desk.reattach(name, actor=call.actor)
    radio = next((each for each in call.desk.radios() if each.name == name), None)
    if radio is None:
        raise UnknownRadio(f"no radio is named {name!r}")
    return Reply(document=radio_documents.radio_document(radio), status=202)


ROUTES = (
    Route(method="GET", path=PATH, run=list_radios, answers={200: documents.Page[radio_documents.Radio]}),
    Route(
        method="POST",
        path=f"{PATH}/{{name}}/permit-join",
        run=permit_join,
        answers={200: radio_documents.PermitJoin},
        scope="admin",
        problems=("unknown-radio", "radio-unavailable", "radio-in-use", "wrong-network", "not-on-this-radio"),
    ),
    Route(
        method="POST",
        path=f"{PATH}/{{name}}/backup",
        run=back_up_radio,
        answers={201: radio_documents.RadioBackup},
        scope="admin",
        problems=("unknown-radio", "radio-unavailable", "radio-in-use", "wrong-network", "not-on-this-radio"),
        timeout=120,
    ),
    Route(
        method="POST",
        path=f"{PATH}/{{name}}/pause",
        run=pause_radio,
        answers={200: radio_documents.Radio},
        scope="operate",
        problems=("unknown-radio", "store-unavailable"),
    ),
    Route(
        method="POST",
        path=f"{PATH}/{{name}}/resume",
        run=resume_radio,
        answers={200: radio_documents.Radio},
        scope="operate",
        problems=("unknown-radio", "store-unavailable"),
    ),
    Route(
        method="POST",
        path=f"{PATH}/{{name}}/reattach",
        run=reattach_radio,
        answers={202: radio_documents.Radio},
        scope="admin",
        problems=("unknown-radio", "wrong-state"),
    ),
)
