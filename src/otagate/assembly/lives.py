"""What keeps a radio alive."""

from __future__ import annotations

from collections.abc import Coroutine
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from otagate.assembly.parts import Parts
from otagate.config import RadioSettings
from otagate.config.hand_over import AdoptSettings
from otagate.engine.agenda import Agenda
from otagate.engine.lending import Lending
from otagate.engine.supervise import supervise_radio
from otagate.model.ids import RadioName
from otagate.radios.handover import LeasedStick

if TYPE_CHECKING:
    from otagate.adoption.refresh import Refresh


def life_of(parts: Parts, radio: RadioName) -> Coroutine[Any, Any, None]:
    """One radio, for ever: ours alone, or borrowed from another program."""
    settings = next((each for each in parts.settings.radios if each.name == radio), None)
    hand_over = None if settings is None else settings.hand_over
    if settings is None or hand_over is None:
        return supervise_radio(
            parts.radios[radio],
            emit=parts.intake.emit,
            clock=parts.clock,
            reattach=parts.reattach[radio],
            backoff=parts.pace.backoff,
            pulse=parts.pulse,
        )
    adopt, terms = hand_over.adopt, replace(parts.pace.lease, most=hand_over.max_minutes * 60.0)
    agenda = Agenda(radio=parts.radios[radio], conductor=parts.conductor, inquiries=parts.outlook.inquiries, terms=terms)
    lease = parts.settings.state_dir / f"zigbee-{radio}.lease.json"
    return Lending(
        radio=parts.radios[radio],
        stick=LeasedStick(take=hand_over.take, give_back=hand_over.give_back, lease=lease, now=parts.clock.now),
        agenda=agenda.read,
        away=agenda.away,
        told=parts.told[radio],
        terms=terms,
        clock=parts.clock,
        called=parts.reattach[radio],
        backoff=parts.pace.backoff,
        pulse=parts.pulse,
        catch_up=None if adopt is None else _refresh(parts, settings, adopt).run,
    ).run()


def _refresh(parts: Parts, radio: RadioSettings, adopt: AdoptSettings) -> Refresh:
    from otagate.adoption.refresh import Refresh  # with the readers of other programs' files, which only a hub that borrows sticks needs

    return Refresh(
        program=adopt.from_,
        path=adopt.path,
        radio=RadioName(radio.name),
        radio_type=radio.type,
        state_dir=parts.settings.state_dir,
        store=parts.store,
        registry=parts.registry,
    )
