"""How the API's documents are made from the hub's readings."""

from __future__ import annotations

from dataclasses import replace

from otagate.api import documents
from otagate.api.problems import problem_of, problem_of_failure
from otagate.config.kinds import format_duration
from otagate.engine import views
from otagate.model import devices, facts, links
from otagate.model import releases as offered
from otagate.model.clouds import THE_CLOUD
from otagate.model.lifecycle import State
from otagate.model.portraits import Behaviour, Portrait
from otagate.model.versions import Version, display_version, version_key
from otagate.policy.activation import wish_of


def release_document(release: offered.Release, *, installed: Version | None) -> documents.Release:
    """The document of a release, seen from a component that runs `installed`."""
    return documents.Release(
        version=release.file_version,
        display_version=release.display_version,
        source=release.source,
        channel=release.channel,
        size=release.size,
        digests={} if release.sha256 is None else {"sha256": release.sha256},
        region=release.region,
        downgrade=release.file_version is not None and version_key(release.file_version) < version_key(installed),
        changelog=release.notes,
        manufacturer_code=release.manufacturer_code,
        image_type=release.image_type,
        target=release.target,
        hardware_min=release.hardware_min,
        hardware_max=release.hardware_max,
        file_name=release.file_name,
    )


def _component(view: views.ComponentView) -> documents.Component:
    component = view.component
    return documents.Component(
        id=component.id,
        version=component.version,
        display_version=_display(component.version),
        available=None if view.available is None else release_document(view.available, installed=component.version),
        update=view.update,
        manufacturer_code=component.manufacturer_code,
        image_type=component.image_type,
        hardware_version=component.hardware_version,
        updatable=component.updatable,
        activation=component.activation,
        applies_unasked=component.applies_unasked,
        rollback=None if view.back is None else _rollback(view.back),
    )


def _rollback(back: views.WayBack) -> documents.Rollback:
    return documents.Rollback(version=back.version, display_version=_display(back.version), image=back.image, sentence=back.sentence)


def device_document(view: views.DeviceView) -> documents.Device:
    """The document of a device."""
    device = view.device
    return documents.Device(
        id=device.id,
        radio=_radio(device.radio),
        protocol=device.protocol,
        name=device.name,
        room=device.room,
        groups=device.groups,
        pin=device.pin,
        skipped=device.skipped,
        policy=None if device.policy is None else _override(device.policy),
        manufacturer=device.manufacturer,
        model=device.model,
        power=device.power,
        online=device.online,
        last_seen=device.last_seen,
        last_checked=device.last_checked,
        battery_percent=device.battery_percent,
        link=None if view.link is None else _link(view.link),
        update_status=view.update_status,
        components=tuple(_component(each) for each in view.components),
        node=None if device.node is None else _node(device.node),
    )


def _link(link: links.Link) -> documents.Link:
    return documents.Link(lqi=link.lqi, rssi=link.rssi, repeaters=link.repeaters, heard=link.heard)


def _override(policy: devices.PolicyOverride) -> documents.PolicyOverride:
    return documents.PolicyOverride(
        default=policy.default,
        retries=policy.retries,
        channel=policy.channel,
        cooldown=None if policy.cooldown is None else format_duration(policy.cooldown),
        battery_floor=policy.battery_floor,
    )


def _node(node: devices.ZwaveNode) -> documents.ZwaveNode:
    return documents.ZwaveNode(
        product_type=node.product_type,
        product_id=node.product_id,
        listening=node.listening,
        long_range=node.long_range,
        security=node.security,
        region=node.region,
        controller=node.controller,
        status=node.status,
    )


def update_document(view: views.UpdateView) -> documents.Update:
    """The document of an update with its live progress."""
    update = view.update
    return documents.Update(
        id=update.id,
        device=update.device,
        component=update.component,
        radio=_radio(update.radio),
        from_version=update.from_version,
        from_display_version=_display(update.from_version),
        to_version=update.to_version,
        to_display_version=_display(update.to_version),
        source=update.source,
        image=update.image,
        state=update.state,
        progress=_progress(view),
        created=update.created,
        started=update.started,
        finished=update.finished,
        not_before=update.not_before,
        error=None if update.error is None else problem_of_failure(update.error),
        reason=update.reason,
        sentence=view.sentence,
        expires=update.expires,
        approved_by=update.approved_by,
        in_window=update.in_window,
        attempts=update.attempts,
        actor=update.actor,
        allow_downgrade=update.allow_downgrade,
        force=update.force,
        override=update.override,
        because=update.because,
        hold_activation=update.hold_activation,
        activate=wish_of(update),
        released_by=update.released_by,
        job=update.job,
        step=update.step,
        steps=update.steps,
        rollout=update.rollout,
        wave=None if update.rollout is None else update.wave + 1,
        foreign=update.foreign,
        priority=update.priority,
        behaviour=None if update.behaviour is None else _behaviour(update.behaviour),
    )


def _behaviour(told: Behaviour) -> documents.Behaviour:
    return documents.Behaviour(kept=told.kept, restored=told.restored, lost=told.lost, not_compared=told.not_compared)


def behaviour_document(before: Portrait, view: views.UpdateView) -> documents.UpdateBehaviour:
    """The document of how a device was set before an update, and of what became of that."""
    told = view.update.behaviour
    recorded = tuple(documents.RecordedSetting(kind=each.kind, at=each.at, value=each.value, name=each.name) for each in before.settings)
    return documents.UpdateBehaviour(recorded=recorded, behaviour=None if told is None else _behaviour(told))


def activations_document(result: views.ActivationResult) -> documents.Activations:
    """The document of what the word to use images came to."""
    return documents.Activations(
        items=tuple(
            documents.Activation(update=each.update, device=each.device, outcome=each.outcome, reason=each.reason, sentence=each.sentence)
            for each in result.given
        ),
        refused=tuple(documents.ActivationRefusal(update=update, problem=problem_of(error)) for update, error in result.refused),
    )


def window_document(view: views.WindowView) -> documents.Window:
    """The document of a window."""
    openings = tuple(documents.Opening(begins=each.begins, ends=each.ends, at_end=each.at_end) for each in view.openings)
    return documents.Window(name=view.name, open=view.open, openings=openings)


def update_as_told(view: views.UpdateView, fact: facts.Fact) -> documents.Update:
    """The document of an update as it was at a fact of its journal: a reader who replays old facts sees every state in its turn."""
    try:
        state = State(str(fact.data.get("state")))
    except ValueError:
        return update_document(view)
    reason, sent = fact.data.get("reason"), fact.data.get("bytes_sent")
    update = replace(
        view.update,
        state=state,
        reason=reason if isinstance(reason, str) else None,
        finished=view.update.finished if state.final else None,
        error=view.update.error if state.final else None,
        behaviour=view.update.behaviour if state.final else None,
    )
    then = (
        view
        if state is view.update.state
        else replace(view, bytes_sent=sent if isinstance(sent, int) else 0, bytes_per_second=None, eta_seconds=None)
    )
    return update_document(replace(then, update=update))


def _progress(view: views.UpdateView) -> documents.Progress:
    total = view.update.bytes_total
    sent, of = view.fragments or (None, None)
    share = view.bytes_sent / total if total else (sent or 0) / of if of else 0.0  # of another program's image only the fragments are known
    return documents.Progress(
        bytes_sent=view.bytes_sent,
        bytes_total=total,
        percent=round(100 * min(1.0, share), 1),
        bytes_per_second=None if view.bytes_per_second is None else round(view.bytes_per_second, 1),
        eta_seconds=None if view.eta_seconds is None else round(view.eta_seconds, 1),
        fragments_sent=sent,
        fragments_total=of,
    )


def ordered_document(result: views.OrderResult, *, dry_run: bool) -> documents.Ordered:
    """The document of what an order made."""
    return documents.Ordered(
        updates=tuple(update_document(each) for each in result.updates),
        refused=tuple(documents.Refusal(device=each.device, problem=problem_of(each.error, reason=each.reason)) for each in result.refused),
        dry_run=dry_run,
    )


def offer_document(offer: views.Offer, *, installed: Version | None) -> documents.Offer:
    """The document of an offer, seen from a component that runs `installed`."""
    verdict = offer.verdict
    return documents.Offer(
        component=offer.component,
        release=release_document(offer.release, installed=installed),
        verdict=documents.Verdict(
            decision=verdict.decision,
            reason=verdict.reason,
            sentence=verdict.sentence,
            problem=verdict.code if verdict.decision == "refuse" else None,
            facts=verdict.facts,
        ),
    )


def fact_document(fact: facts.Fact) -> documents.Fact:
    """The document of a line of the journal."""
    return documents.Fact(
        number=fact.number, at=fact.at, subject=fact.subject, subject_id=fact.subject_id, kind=fact.kind, actor=fact.actor, data=fact.data
    )


def audit_line(entry: views.AuditEntry) -> documents.AuditLine:
    """The line of the audit about an update that ended."""
    update = entry.update
    return documents.AuditLine(
        update=update.id,
        finished=update.finished,
        created=update.created,
        started=update.started,
        seconds=None if update.started is None or update.finished is None else (update.finished - update.started).total_seconds(),
        actor=update.actor,
        approved_by=update.approved_by,
        ended_by=entry.ended_by,
        because=update.because,
        override="force" if update.force else " ".join(update.override),
        device=update.device,
        component=update.component,
        from_version=update.from_version,
        to_version=update.to_version,
        image=update.image,
        source=update.source,
        rollout=update.rollout,
        allow_downgrade=update.allow_downgrade,
        foreign=update.foreign,
        outcome=update.state,
        retries=entry.retries,
        error=None if update.error is None else update.error.code,
        detail=None if update.error is None else update.error.detail,
        fact=entry.number,
        chain=entry.chain,
    )


def notifier_document(view: views.NotifierView) -> documents.Notifier:
    """The document of a receiver of notifications."""
    if view.trouble is not None:
        sentence = view.trouble
    else:
        sentence = "nothing was told since the hub began" if view.last_delivered is None else "what was told last has arrived"
    return documents.Notifier(
        name=view.name,
        type=view.type,
        severity=view.severity,
        state="ok" if view.trouble is None else "failing",
        sentence=sentence,
        waiting=view.waiting,
        last_delivered=view.last_delivered,
    )


def halt_document(view: views.HaltView | None) -> documents.Halt:
    """The document of the halt, or of there being none."""
    if view is None:
        return documents.Halt(halted=False, since=None, actor=None, because=None)
    return documents.Halt(halted=True, since=view.since, actor=view.actor, because=view.because)


def _display(version: Version | None) -> str | None:
    return None if version is None else display_version(version)


def _radio(name: str | None) -> str | None:
    return None if name == THE_CLOUD else name
