"""Laws of the OTA server session under any input: hostile bytes, any order of orders, any loss and reordering."""

from __future__ import annotations

import gc
import itertools
import random
import resource
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otagate.model.lifecycle import Cause, State
from otagate.model.quirks import Quirk
from otagate.sessions.effects import Advance, Announce, Effect, Effects, Reply
from otagate.sessions.ota_transfer import Patience
from otagate.sessions.zigbee import OtaServer
from tests.sessions import wire
from tests.sessions.client import Client, Link, World
from tests.sessions.playbook import LAMP, SENSOR, Playbook, activate, park, pause, play, resume, serve, withdraw

FEW = settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
OLDER, NEWER = wire.picture(1_000, seed=1), wire.picture(700, seed=2)
IMAGES = {(wire.IMAGE_TYPE, 20): OLDER, (wire.IMAGE_TYPE, 21): NEWER}
ORDERS = {
    "serve the older": serve(image=memoryview(OLDER)),
    "serve the newer": serve(update=SENSOR, file_version=21, image=memoryview(NEWER), hold_activation=True),
}
LONGEST_REPLY = 3 + 14 + 64

# --- any bytes --------------------------------------------------------------------------------------------------------------------------


def frames() -> st.SearchStrategy[bytes]:
    """Anything, frames that begin like a request, and requests whose every field is at an interesting value."""
    words = st.sampled_from([0, 1, 49, 50, 64, 699, 700, 999, 1_000, 1_001, 0x7FFF_FFFF, 0xFFFF_FFFF])
    bytes_ = st.sampled_from([0, 1, 2, 3, 40, 64, 65, 255])
    numbers = st.sampled_from([1, 2, 0x80])
    version = st.sampled_from([10, 20, 20, 20, 21, 21, 22, 0xFFFF_FFFF])
    maker = st.sampled_from([wire.MANUFACTURER] * 6 + [0xFFFF])
    kind = st.sampled_from([wire.IMAGE_TYPE] * 6 + [0xFFFF])
    short = st.sampled_from([0, 1, 50, 512, 4_096, 4_097, 65_535])
    status = st.sampled_from([0, 0, 0x95, 0x96, 0x99, 0x01])
    return st.one_of(
        st.binary(max_size=40),
        st.builds(lambda command, body: bytes((1, 7, command)) + body, st.integers(0, 9), st.binary(max_size=30)),
        st.builds(wire.query, version, tsn=numbers, manufacturer=maker, image_type=kind, hardware=st.none() | st.integers(0, 0xFFFF)),
        st.builds(wire.ask, words, bytes_, tsn=numbers, version=version, manufacturer=maker, image_type=kind),
        st.builds(wire.ask, st.integers(0, 1_010), bytes_, version=version, period=st.none() | short),
        st.builds(wire.ask_page, words, bytes_, page=short, spacing=short, version=version, image_type=kind),
        st.builds(wire.end, status, tsn=numbers, version=version, manufacturer=maker, image_type=kind),
    )


def steps() -> st.SearchStrategy[list[Any]]:
    orders = st.sampled_from([*ORDERS, "park", "pause", "resume", "withdraw", "activate"])
    moments = st.sampled_from([0.0, 0.01, 1.0, 21.0, 130.0, 1_000.0])
    others = st.sampled_from(["commit", "commit", "commit", "hear", "reopen", "too long", "no token"])
    return st.lists(st.one_of(frames(), frames(), frames(), orders, moments, others), max_size=60)


class Examiner:
    """Plays steps, and after each of them looks at what came out."""

    def __init__(self, story: Playbook) -> None:
        self.story = story
        self.tokens: list[int] = []

    def take(self, step: Any) -> None:
        story = self.story
        match step:
            case bytes():
                story.sends(step)
                self.look(story.came_out(), asked=step)
                return
            case float():
                story.passes(step)
                out = story.came_out()
                assert len(out) <= 500, "time alone made this much noise"
                self.look(out, asked=None)
                return
            case "commit":
                if story._waiting:
                    story.commits()
                    self.follow()
            case "hear":
                story.overhears()
            case "reopen":
                story.reopens()
            case "too long":
                story.server.too_long()
            case "no token":
                story.commits_token(1_000_000)
            case _:
                self.order(step)
        out = story.came_out()
        assert len(out) <= 4
        self.look(out, asked=None)

    def order(self, name: str) -> None:
        """As an engine would: nothing that its own state forbids."""
        story = self.story
        if name in ORDERS:
            order = ORDERS[name]
            if story.states.get(order.update, State.QUEUED) in (State.QUEUED, State.OFFERING, State.TRANSFERRING):
                for other in {LAMP, SENSOR} - {order.update}:
                    story.orders(withdraw(other)).states.pop(other, None)
                story.orders(order)
            return
        for update in list(story.states):
            if name == "park" and story.states[update] in (State.OFFERING, State.TRANSFERRING):
                story.orders(park(update)).states[update] = State.QUEUED
            elif name == "withdraw":
                story.orders(withdraw(update)).states.pop(update)
            elif name == "activate" and story.states[update] is State.STAGED and not story._waiting:
                story.orders(activate(update)).whatever()
            elif name in ("pause", "resume"):
                story.orders({"pause": pause, "resume": resume}[name](update)).whatever()

    def follow(self) -> None:
        """What an engine does after a commit."""
        story = self.story
        out = story.came_out()
        self.look(out, asked=None)
        for update, state in list(story.states.items()):
            if state is State.QUEUED:
                story.orders(park(update))
            elif state.final:
                story.orders(withdraw(update)).states.pop(update)

    def look(self, out: list[tuple[float, Any]], *, asked: bytes | None) -> None:
        replies = [bytes(effect.frame) for _, effect in out if isinstance(effect, Reply)]
        if asked is not None:
            assert len(replies) <= 1
            assert len(out) <= 3
            assert all(reply[1] == asked[1] for reply in replies)
        for reply in replies:
            assert len(reply) <= LONGEST_REPLY
            self.examine(reply, asked)
        for _, effect in out:
            if isinstance(effect, Advance):
                assert 0 <= effect.offset <= 1_000
        for update in (LAMP, SENSOR):
            assert 0 <= self.story.server.high_water(update) <= 1_000

    def examine(self, reply: bytes, asked: bytes | None) -> None:
        """A block is exactly the bytes of the image that it names, and names what was asked."""
        if reply[2] != 0x05 or reply[3]:
            return
        maker, image_type, version, offset, length = struct.unpack_from("<HHIIB", reply, 4)
        assert maker == wire.MANUFACTURER
        assert reply[17:] == IMAGES[image_type, version][offset : offset + length]
        assert length == len(reply) - 17 > 0
        if asked is not None:
            assert reply[4:16] == asked[4:16]
            assert length <= asked[16]


QUIRKS = [
    Quirk(),
    Quirk(notify=False),
    Quirk(block_limit=40, refusal_status=0x95),
    Quirk(whole_up_to=64, silent_refusal=True, tells_version=False),
    Quirk(by_type=((wire.IMAGE_TYPE, Quirk(block_limit=40, query_patience=60.0)),)),
]


@FEW
@given(steps(), st.booleans(), st.sampled_from(QUIRKS))
def test_no_bytes_and_no_order_of_events_break_the_session(script: list[Any], sleepy: bool, quirk: Quirk) -> None:
    """Nothing raises, every request has at most one answer, no image is mixed with another, and the ledger's table is never violated."""
    examiner = Examiner(play(quirk=quirk, sleepy=sleepy))
    for step in ["serve the older", *script]:
        examiner.take(step)


@FEW
@given(st.lists(st.tuples(st.sampled_from([20, 21]), st.integers(0, 1_010), st.integers(0, 255)), min_size=1, max_size=60), st.integers(0, 59))
def test_never_a_byte_of_one_image_to_a_request_that_names_another(requests: list[tuple[int, int, int]], change: int) -> None:
    examiner = Examiner(play())
    for step in ["serve the older", wire.query(), "commit"]:
        examiner.take(step)
    for number, (version, offset, size) in enumerate(requests):
        if number == change:
            for step in ["serve the newer", wire.query(), "commit"]:
                examiner.take(step)
        examiner.take(wire.ask(offset, size, version=version))


# --- any link ---------------------------------------------------------------------------------------------------------------------------

FATES = st.sampled_from([(0.01,)] * 6 + [()] * 4 + [(0.01, 0.01), (0.01, 4.0), (4.0,), (0.01, 0.5, 40.0), (0.2,)])
HONEST_ENDS = {Cause.EXPIRED, Cause.STALLED, Cause.ABORTED_BY_DEVICE, Cause.DECLINED}


@FEW
@given(
    fates=st.lists(FATES, max_size=250),
    power_cuts=st.lists(st.floats(0.0, 200.0), max_size=3).map(tuple),
    retries=st.sampled_from([0, 2, 10]),
    step=st.sampled_from([16, 50, 63, 64, 255]),
    page=st.sampled_from([0, 0, 200, 1_024]),
    keeps=st.booleans(),
    same_number=st.booleans(),
    size=st.sampled_from([1, 63, 64, 65, 400, 1_000]),
    commit_after=st.sampled_from([0.0, 0.01, 2.0, 12.0]),
)
def test_any_loss_duplication_and_reordering_ends_with_identical_bytes_or_an_honest_end(
    fates: list[tuple[float, ...]],
    power_cuts: tuple[float, ...],
    retries: int,
    step: int,
    page: int,
    keeps: bool,
    same_number: bool,
    size: int,
    commit_after: float,
) -> None:
    image = wire.picture(size)
    client = Client(step=step, page=page, keeps=keeps, same_number=same_number, retries=retries)
    world = World(client, Link(iter(fates)), image, commit_after=commit_after, power_cuts=power_cuts)
    world.runs(6_000.0)
    if client.booted is not None:
        assert client.booted == image
        assert world.story.states[LAMP] is State.ACTIVATING
    elif world.story.states[LAMP] is State.ACTIVATING:
        assert power_cuts, "only a device that forgets what it has told can miss the word for it"
        assert client.phase == "idle"
    else:
        assert world.story.states[LAMP] is State.QUEUED
        assert world.causes[-1] in HONEST_ENDS


def test_a_perfect_link_needs_one_attempt() -> None:
    image = wire.picture(1_000)
    world = World(Client(), Link(iter(())), image)
    world.runs(600.0)
    assert world.client.booted == image
    assert world.causes == [Cause.ACCEPTED, Cause.TRANSFERRED, Cause.ACTIVATED]


@pytest.mark.parametrize("page", [0, 512])
@pytest.mark.parametrize("loss", [0.1, 0.3])
def test_a_third_of_all_frames_may_be_lost(loss: float, page: int) -> None:
    """With ten tries for each request that is a link on which a client should succeed."""
    dice = random.Random(20_240_817)
    fates = iter(lambda: () if dice.random() < loss else (0.01,), None)
    image = wire.picture(20_000)
    world = World(Client(page=page), Link(fates), image)
    world.runs(20_000.0)
    assert world.client.booted == image


# --- any length of time -----------------------------------------------------------------------------------------------------------------


def tracked(root: object) -> int:
    """How many objects a session holds, images and classes apart."""
    seen: set[int] = set()
    open_: list[object] = [root]
    while open_:
        each = open_.pop()
        if id(each) in seen or isinstance(each, type | memoryview | itertools.count) or callable(each):
            continue
        seen.add(id(each))
        open_ += gc.get_referents(each)
    return len(seen)


def random_frame(dice: random.Random) -> bytes:
    """Any bytes of this cluster, or a request of which something is wrong: a field, a length, or the moment."""
    if dice.random() < 0.2:
        return bytes((1, dice.randrange(256), dice.randrange(10))) + dice.randbytes(dice.randrange(30))
    version = dice.choice((10, 20, 20, 20, dice.randrange(1 << 32)))
    image_type = dice.choice((wire.IMAGE_TYPE, wire.IMAGE_TYPE, wire.IMAGE_TYPE, dice.randrange(1 << 16)))
    match dice.randrange(5):
        case 0:
            frame = wire.query(dice.choice((10, 10, 20, 30)), image_type=image_type, tsn=dice.randrange(256))
        case 1:
            frame = wire.end(dice.choice((0, 0x95, 0x99, dice.randrange(256))), version=version, image_type=image_type)
        case 2:
            page = dice.choice((dice.randrange(5_000), 0xFFFF))
            frame = wire.ask_page(dice.randrange(1_100), dice.randrange(256), page=page, version=version, image_type=image_type)
        case _:
            frame = wire.ask(dice.randrange(1_100), dice.randrange(256), version=version, image_type=image_type, tsn=dice.randrange(256))
    return frame[: dice.randrange(len(frame))] if dice.random() < 0.1 else frame


def assert_typed(effects: Effects, frame: bytes) -> None:
    """One request has one answer at most, which is addressed to it, fits a frame and holds the bytes of the image that it names."""
    assert all(isinstance(effect, Effect) for effect in effects)
    replies = [effect.frame for effect in effects if isinstance(effect, Reply)]
    assert len(replies) <= 1
    for reply in replies:
        assert reply[1] == frame[1]
        assert len(reply) <= LONGEST_REPLY
        if reply[2:4] == b"\x05\x00":
            offset, length = struct.unpack_from("<IB", reply, 12)
            assert 0 < length == len(reply) - 17
            assert reply[17:] == OLDER[offset : offset + length]


def resident() -> int:
    """Resident memory of this process, in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


@pytest.mark.parametrize("frames", [10_000, pytest.param(1_000_000, marks=pytest.mark.night)])
def test_hostile_frames_have_typed_outcomes_few_answers_and_cost_no_memory(frames: int, record_property: Callable[[str, object], None]) -> None:
    dice, now, answers = random.Random(20_240_817), 0.0, 0
    server = OtaServer(tokens=itertools.count(1), patience=Patience())
    served = serve(image=memoryview(OLDER))
    server.command(served, now)
    most_at_first, most, at_first = 0, 0, 0
    for number in range(frames):
        now += dice.choice((0.0, 0.001, 0.01))
        frame = random_frame(dice)
        told = server.receive(frame, now)
        assert_typed(told, frame)
        effects = [*told, *(server.tick(now) if number % 7 == 0 else ())]
        answers += sum(isinstance(effect, Reply | Announce) for effect in effects)
        for effect in effects:
            if isinstance(effect, Advance):
                server.committed(effect.token, now)
        if number % 50 == 0:
            server.command(park(), now)
            server.command(withdraw() if number % 1_000 == 0 else served, now)
            server.command(served, now)
        if number % (frames // 200) == 0:
            count = tracked(server)
            most_at_first, most = (max(most_at_first, count), most) if number < frames // 10 else (most_at_first, max(most, count))
        if number == frames // 10:
            at_first = resident()
    grown = resident() - at_first
    for name, figure in {"answers": answers, "objects": most, "resident_growth": grown}.items():
        record_property(name, figure)
    assert most <= most_at_first + 60, "a session grows with what a device sends"
    assert grown < 8 << 20, "what a device sends is kept"
    assert 0 < answers < frames / 2
