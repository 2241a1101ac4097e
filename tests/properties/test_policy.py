from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from otagate.model.devices import Component, Device
from otagate.model.lifecycle import RUNNING, State
from otagate.model.releases import Release
from otagate.model.updates import Update
from otagate.policy.admit import admit
from otagate.policy.air import ON_THE_AIR, Air, RadioAir
from otagate.policy.judge import judge
from otagate.policy.match import match
from otagate.policy.plan import choose
from otagate.policy.retry import after_attempt
from otagate.policy.settings import PolicySettings
from tests.policy.cases import DIGEST_A, DIGEST_B, IEEE, NOW, RADIO, component, device, device_id, release, update

VERSIONS = st.integers(7, 13)
COMPONENTS = st.builds(component, version=st.none() | VERSIONS, floor=st.none() | VERSIONS, hardware_version=st.sampled_from([None, 3, 7]))
DEVICES = st.builds(
    device, pin=st.none() | VERSIONS, skipped=st.lists(VERSIONS, max_size=2).map(tuple), model=st.sampled_from([None, "Lamp 1", "Lamp 2"])
)
RELEASES = st.builds(
    release,
    source=st.sampled_from(["folder", "index"]),
    file_version=VERSIONS,
    manufacturer_code=st.sampled_from([0x117C, 0x117C, 0x117C, 0xFFFF, 1]),
    image_type=st.sampled_from([0x1409, 0x1409, 0x1409, 1]),
    size=st.sampled_from([1000, 1001]),
    sha256=st.sampled_from([None, DIGEST_A, DIGEST_B]),
    hardware_max=st.sampled_from([None, 3]),
    min_file_version=st.none() | VERSIONS,
    models=st.sampled_from([(), ("lamp 1",), ("x", "Lamp 1")]),
    destination=st.sampled_from([None, None, IEEE, 1]),
)
SETTINGS = st.builds(PolicySettings, mode=st.sampled_from(["automatic", "ask", "never"]))


@given(DEVICES, COMPONENTS, st.lists(RELEASES, max_size=6), st.randoms(use_true_random=False), SETTINGS, st.booleans(), st.booleans(), st.booleans())
def test_the_order_of_the_releases_changes_nothing(
    lamp: Device, part: Component, offered: list[Release], dice: object, settings: PolicySettings, operator: bool, force: bool, downgrade: bool
) -> None:
    shuffled = list(offered)
    dice.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = (
        choose(lamp, part, each, settings=settings, operator=operator, force=force, allow_downgrade=downgrade) for each in (offered, shuffled)
    )
    assert one == other


@given(DEVICES, COMPONENTS, st.lists(RELEASES, max_size=6), SETTINGS, st.booleans(), st.booleans(), st.booleans(), st.none() | VERSIONS)
def test_what_is_chosen_is_never_refused_never_older_without_the_flag_and_never_in_doubt(
    lamp: Device, part: Component, offered: list[Release], settings: PolicySettings, operator: bool, force: bool, downgrade: bool, version: int | None
) -> None:
    choice = choose(lamp, part, offered, settings=settings, operator=operator, force=force, allow_downgrade=downgrade, version=version)
    assert {each.release for each in choice.trace} == set(offered)
    if choice.chosen is None:
        assert choice.verdict.decision == "refuse"
        return
    chosen = choice.chosen
    assert choice.verdict.decision in {"allow", "ask"}
    assert match(lamp, part, chosen).decision != "refuse"
    assert judge(lamp, part, chosen, settings=settings, operator=operator, force=force, allow_downgrade=downgrade) == choice.verdict
    assert downgrade or part.version is None or chosen.file_version > part.version
    assert downgrade or part.floor is None or chosen.file_version >= part.floor
    assert version in {None, chosen.file_version}
    rivals = [each.release for each in choice.trace if each.verdict.decision != "refuse" and each.release.file_version == chosen.file_version]
    digests = {each.sha256 for each in rivals if each.sha256 and each.manufacturer_code == chosen.manufacturer_code}
    assert len(digests) <= 1, "an ambiguous version was chosen"


@given(VERSIONS, st.none() | VERSIONS, st.lists(VERSIONS, min_size=1, max_size=4), st.booleans(), st.booleans())
def test_nothing_that_fits_is_chosen_below_the_floor(version: int, floor: int | None, offered: list[int], operator: bool, force: bool) -> None:
    part, releases = component(version=version, floor=floor), [release(file_version=each) for each in offered]
    chosen = choose(device(), part, releases, settings=PolicySettings(mode="automatic"), operator=operator, force=force).chosen
    fit = [each for each in offered if each > version and each >= (floor or 0)]
    assert (None if chosen is None else chosen.file_version) == max(fit, default=None)


@given(DEVICES, COMPONENTS, RELEASES, SETTINGS)
def test_more_rights_never_turn_a_yes_into_a_no(lamp: Device, part: Component, offered: Release, settings: PolicySettings) -> None:
    plain = judge(lamp, part, offered, settings=settings)
    ordered = judge(lamp, part, offered, settings=settings, operator=True)
    forced = judge(lamp, part, offered, settings=settings, operator=True, force=True)
    rank = {"refuse": 0, "ask": 1, "allow": 2}
    assert rank[plain.decision] <= rank[ordered.decision] <= rank[forced.decision]
    if match(lamp, part, offered).decision == "refuse":
        assert forced.code == "incompatible-image"


UPDATES = st.lists(st.tuples(st.integers(0, 9), st.sampled_from(sorted(RUNNING) + [State.QUEUED] * 6), st.integers(0, 5), st.booleans()), max_size=25)


def updates_of(drawn: list[tuple[int, State, int, bool]]) -> list[Update]:
    return [
        update(
            number,
            device=device_id(whose),
            state=state,
            created=NOW + timedelta(seconds=age),
            not_before=NOW + timedelta(hours=1) if later else None,
        )
        for number, (whose, state, age, later) in enumerate(drawn)
    ]


@given(UPDATES, st.integers(0, 4), st.integers(0, 4), st.sets(st.integers(0, 9)), st.sets(st.integers(0, 9)), st.randoms(use_true_random=False))
def test_admission_keeps_its_promises(
    drawn: list[tuple[int, State, int, bool]], parallel: int, slow_slots: int, sleepy: set[int], offline: set[int], dice: object
) -> None:
    everyone = updates_of(drawn)
    queue, running = [each for each in everyone if each.state is State.QUEUED], [each for each in everyone if each.state in RUNNING]
    devices = {device_id(n): device(id=device_id(n), sleepy=n in sleepy, online=n not in offline) for n in range(10)}
    air = Air(radios={RADIO: RadioAir(parallel=parallel, slow=slow_slots)}, devices=devices)
    admission = admit(queue, running, air=air, now=NOW)

    started = [each for each in queue if each.id in admission.admitted]
    assert {each.id for each in queue} == set(admission.admitted) | set(admission.waiting)
    assert not set(admission.admitted) & set(admission.waiting)
    owners = [each.device for each in started]
    assert len(owners) == len(set(owners))
    assert not set(owners) & {each.device for each in running}
    for asleep, limit in ((False, parallel), (True, slow_slots)):
        mine = [each for each in started if devices[each.device].sleepy is asleep]
        before = [each for each in running if each.state in ON_THE_AIR and devices[each.device].sleepy is asleep]
        assert len(mine) <= max(0, limit - len(before))
        busy = [each for each in queue if devices[each.device].sleepy is asleep and each.id in admission.waiting]
        if any(admission.waiting[each.id].reason == "radio_busy" for each in busy):
            assert len(mine) + len(before) >= limit, "somebody waits for a slot that is free"
    dice.shuffle(queue)  # type: ignore[attr-defined]
    assert admit(queue, running, air=air, now=NOW) == admission


JOBS = st.lists(st.tuples(st.integers(0, 3), st.integers(1, 5), st.sampled_from(sorted(RUNNING) + [State.QUEUED] * 6), st.booleans()), max_size=25)


@given(JOBS, st.randoms(use_true_random=False))
def test_no_step_is_admitted_before_those_in_front_of_it(drawn: list[tuple[int, int, State, bool]], dice: object) -> None:
    """Each device has a job, with a component for every step; what waits on a device (staged) is not among those that run."""
    everyone = [
        update(
            number, device=device_id(whose), job=f"j{whose}", step=step, steps=5, state=state, not_before=NOW + timedelta(hours=1) if later else None
        )
        for number, (whose, step, state, later) in enumerate(drawn)
    ]
    queue = [each for each in everyone if each.state is State.QUEUED]
    running = [each for each in everyone if each.state in RUNNING and each.state is not State.STAGED]
    devices = {device_id(n): device(id=device_id(n)) for n in range(4)}
    admission = admit(queue, running, air=Air(radios={RADIO: RadioAir(parallel=9)}, devices=devices), now=NOW)
    for started in (each for each in queue if each.id in admission.admitted):
        assert not [each for each in (*queue, *running) if each.job == started.job and each.step < started.step]
    dice.shuffle(queue)  # type: ignore[attr-defined]
    assert admit(queue, running, air=Air(radios={RADIO: RadioAir(parallel=9)}, devices=devices), now=NOW) == admission


@given(st.lists(st.integers(0, 1000), max_size=400), st.integers(0, 5))
def test_however_a_device_behaves_its_attempts_end(marks: list[int], retries: int) -> None:
    job, high, attempts = update(), 0, 0
    for mark in marks:
        reached = max(high, mark)
        retry = after_attempt(replace(job, attempts=attempts), began_at=high, reached=reached, settings=PolicySettings(retries=retries), now=NOW)
        high, attempts = reached, retry.attempts
        if retry.spent:
            return
        assert retry.not_before is not None
        assert retry.not_before > NOW
    assert len(marks) <= 101 * (retries + 1), "a device kept an update alive for ever"
