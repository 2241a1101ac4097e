"""A borrowed stick goes back, whatever happens; its owner's commands are scripts here, the lease is the real file."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from otagate.engine.lending import Lending, Told
from otagate.engine.pulse import Pulse
from otagate.engine.supervise import Backoff
from otagate.model.errors import AdoptionError, PortHeld, RadioError, RadioInUse, RadioUnavailable, WrongNetwork
from otagate.policy.lease import NOTHING, Terms, Work
from otagate.ports import RadioChanged, RadioEvent, RadioNoticed
from otagate.radios.handover import LeasedStick
from tests.engine.radio import ScriptedRadio
from tests.virtual_time import VirtualClock, VirtualLoop, instantly

TERMS = Terms(most=1_800.0)
MOVES = Work(runs=1, moves=True)


class House:
    """A stick, the program that has it, and the hub's end of it. `todo` is what there is to do; a command takes `takes` seconds, and fails while it
    is in `failing`.
    """

    def __init__(self, folder: Path, *, takes: float = 2.0) -> None:
        self.lease = folder / "zigbee-zigbee0.lease.json"
        self.takes = takes
        self.todo = NOTHING
        self.failing: set[str] = set()
        self.history: list[tuple[float, str]] = []
        self.states: list[tuple[str, str]] = []
        self.stages: list[str | None] = []
        self.owner_has_it = True
        self.called = asyncio.Event()
        self.clock = VirtualClock()
        self.pulse = Pulse(self.clock, every=7.0)
        self.news: list[str] = []
        self.caught_up = 0
        self.unreadable: Exception | None = None
        told = Told(self._hear, "zigbee2mqtt")
        self.radio = ScriptedRadio({}, told, [])
        self.stick = LeasedStick(take=["take"], give_back=["give_back"], lease=self.lease, now=self.clock.now, run=self._run)
        self.began = self.clock.monotonic()
        self.lending = Lending(
            radio=self.radio,
            stick=self.stick,
            agenda=self._agenda,
            told=told,
            terms=TERMS,
            clock=self.clock,
            called=self.called,
            backoff=Backoff(first=1.0, most=30.0, healthy=60.0),
            pulse=self.pulse,
            catch_up=self._catch_up,
        )

    def _hear(self, event: RadioEvent) -> None:
        match event:
            case RadioChanged():
                self.states.append((event.state, event.sentence))
                self.stages.append(None if event.loan is None else event.loan.stage)
                assert event.loan is None or event.loan.owner == "zigbee2mqtt"
            case RadioNoticed():
                self.news.append(f"{event.kind}: {event.sentence}")

    async def _catch_up(self) -> None:
        assert self.history[-1][1] == "take", "the other program's files were read while it had the stick"
        assert not self.radio.up, "our database was written while it was open"
        await asyncio.sleep(1.0)
        if self.unreadable is not None:
            raise self.unreadable
        self.caught_up += 1

    async def _agenda(self, *, borrowed: bool) -> Work:
        del borrowed
        return self.todo

    async def _run(self, command: Sequence[str], *, key: str, within: float) -> None:
        del within
        assert key == f"hand_over.{command[0]}"
        assert self.lease.exists(), "a command ran without a lease"
        assert not self.radio.up, "the stick changed hands while its radio was up"
        await asyncio.sleep(self.takes)
        self.history.append((self.clock.monotonic() - self.began, command[0]))
        if command[0] in self.failing:
            raise RadioUnavailable(f"{key} failed with status 1")
        self.owner_has_it = command[0] == "give_back"

    @property
    def words(self) -> list[str]:
        return [word for _, word in self.history]

    async def lives(self, seconds: float) -> None:
        """The hub runs for so long, and is stopped."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.lending.run()

    def later(self, seconds: float, deed: Callable[[], object]) -> None:
        asyncio.get_running_loop().call_later(seconds, deed)

    def finds(self, work: Work) -> None:
        self.todo = work


@instantly
async def test_a_radio_without_anything_to_do_is_lent_and_nothing_is_run(tmp_path_factory: pytest.TempPathFactory) -> None:
    house = House(tmp_path_factory.mktemp("state"))
    await house.lives(100_000)
    assert house.words == []
    assert [state for state, _ in house.states] == ["lent"]
    assert house.states[0][1].startswith("zigbee2mqtt has the stick: devices cannot be updated now")


@instantly
async def test_the_stick_is_borrowed_while_there_is_something_to_do_and_not_for_long_after(tmp_path_factory: pytest.TempPathFactory) -> None:
    house = House(tmp_path_factory.mktemp("state"))
    house.later(100, lambda: house.finds(MOVES))
    house.later(700, lambda: house.finds(NOTHING))
    await house.lives(10_000)
    assert house.words == ["take", "give_back"]
    (taken, _), (given, _) = house.history
    assert taken == pytest.approx(102, abs=TERMS.look)
    assert given == pytest.approx(700 + TERMS.idle, abs=2 * TERMS.look)
    assert [state for state, _ in house.states] == ["lent", "starting", "starting", "up", "starting", "lent"]
    assert house.stages == [None, "taking", "held", "held", "returning", "returned"]
    assert "zigbee2mqtt cannot control its lamps meanwhile" in house.states[3][1]
    assert not house.lease.exists()


@instantly
async def test_what_the_other_program_has_learnt_is_taken_over_at_every_loan(tmp_path_factory: pytest.TempPathFactory) -> None:
    house = House(tmp_path_factory.mktemp("state"))
    house.finds(MOVES)
    await house.lives(3 * TERMS.most)
    assert house.words == ["take", "give_back", "take", "give_back"]
    assert (house.caught_up, house.news) == (2, [])


@pytest.mark.parametrize("trouble", [AdoptionError("database.db is cut off"), OSError("no such disk")])
def test_what_cannot_be_taken_over_is_told_once_and_the_loan_goes_on(trouble: Exception, tmp_path: Path) -> None:
    @instantly
    async def story() -> None:
        house = House(tmp_path)
        house.finds(MOVES)
        house.unreadable = trouble
        await house.lives(3 * TERMS.most)
        assert house.words == ["take", "give_back", "take", "give_back"]
        assert [state for state, _ in house.states].count("up") == 2
        (told,) = house.news
        assert told.startswith("adoption_failed: what zigbee2mqtt knows of its devices could not be taken over, so those of before are known: ")
        assert told.endswith(str(trouble) if isinstance(trouble, AdoptionError) else "OSError")

    story()


@instantly
async def test_an_operator_has_the_stick_borrowed_for_a_while(tmp_path_factory: pytest.TempPathFactory) -> None:
    house = House(tmp_path_factory.mktemp("state"))
    house.later(10, house.called.set)
    house.later(200, house.called.set)
    await house.lives(10_000)
    assert house.words == ["take", "give_back"]
    assert house.history[1][0] == pytest.approx(200 + TERMS.called, abs=2 * TERMS.look)


@instantly
async def test_nobody_keeps_a_stick_for_longer_than_agreed_and_its_owner_has_it_for_as_long(tmp_path_factory: pytest.TempPathFactory) -> None:
    house = House(tmp_path_factory.mktemp("state"))
    house.finds(MOVES)
    await house.lives(3 * TERMS.most)
    assert house.words == ["take", "give_back", "take", "give_back"]
    times = [at for at, _ in house.history]
    assert times[1] - times[0] == pytest.approx(TERMS.most - TERMS.part, abs=2 * TERMS.look)
    assert times[2] - times[1] == pytest.approx(TERMS.most, abs=2 * TERMS.look)


@instantly
async def test_a_hub_that_is_stopped_gives_the_stick_back(tmp_path_factory: pytest.TempPathFactory) -> None:
    house = House(tmp_path_factory.mktemp("state"))
    house.finds(MOVES)
    await house.lives(300)
    assert house.words == ["take", "give_back"]
    assert house.owner_has_it
    assert not house.lease.exists()


class CancellingLoop(VirtualLoop):
    """Cancels a task at its n-th turn: between any two awaits."""

    def __init__(self, turn: int) -> None:
        super().__init__()
        self.turn = turn
        self.turns = 0
        self.victim: asyncio.Task[None] | None = None

    def _run_once(self) -> None:
        self.turns += self.victim is not None
        if self.turns == self.turn and self.victim is not None:
            self.victim.cancel()
        super()._run_once()  # type: ignore[misc]


def _cancelled_at(turn: int, folder: Path) -> tuple[House, bool]:
    """A hub that is stopped at that turn of its loop; whether it was still running then."""
    ran = False

    async def story() -> House:
        nonlocal ran
        house = House(folder)
        house.finds(MOVES)
        house.later(20, lambda: house.finds(NOTHING))
        loop = asyncio.get_running_loop()
        assert isinstance(loop, CancellingLoop)
        async with asyncio.TaskGroup() as group:
            loop.victim = group.create_task(house.lending.run())
            house.later(120, loop.victim.cancel)
        ran = loop.turns >= loop.turn
        return house

    with asyncio.Runner(loop_factory=lambda: CancellingLoop(turn)) as runner:
        return runner.run(story()), ran


def test_at_whatever_await_the_hub_is_stopped_the_stick_is_back_with_its_owner(tmp_path: Path) -> None:
    turn, running = 1, True
    while running:
        house, running = _cancelled_at(turn, tmp_path)
        assert house.owner_has_it, f"at turn {turn}"
        assert not house.stick.owed, f"at turn {turn}"
        assert not house.radio.up, f"at turn {turn}"
        turn += 1
    assert turn > 50, "the story was too short to tell anything"
    assert house.words == ["take", "give_back"]


@instantly
async def test_a_lease_that_a_dead_hub_left_is_settled_before_anything_else(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("state")
    dead = House(folder)
    dying = asyncio.timeout(1)  # the lease is written, and the command does not come to its end
    with pytest.raises(TimeoutError):
        async with dying:
            await dead.stick.take()
    assert dead.words == []

    house = House(folder)
    assert house.stick.owed
    house.finds(MOVES)
    await house.lives(TERMS.again / 2)
    assert house.words == ["give_back"]
    assert [state for state, _ in house.states] == ["starting", "lent"]
    assert not house.lease.exists()


@instantly
async def test_a_give_back_that_fails_is_told_and_tried_until_it_works(tmp_path_factory: pytest.TempPathFactory) -> None:
    house = House(tmp_path_factory.mktemp("state"), takes=0.0)
    house.finds(MOVES)
    house.failing = {"give_back"}
    house.later(100, lambda: house.finds(NOTHING))
    house.later(220, house.failing.clear)
    await house.lives(1_000)
    assert house.words[0] == "take"
    assert set(house.words[1:]) == {"give_back"}
    times = [at for at, _ in house.history[1:]]
    assert [round(later - earlier) for earlier, later in itertools.pairwise(times)] == [1, 2, 4, 8, 16, 30, 30]
    told = [sentence for state, sentence in house.states if state == "retrying"]
    assert len(told) == len(times) - 1
    assert {stage for stage, (state, _) in zip(house.stages, house.states, strict=True) if state == "retrying"} == {"returning"}
    assert told[0] == "zigbee2mqtt has not got its stick back, so nobody controls its lamps: hand_over.give_back failed with status 1"
    assert house.owner_has_it
    assert house.states[-1][0] == "lent"
    assert not house.lease.exists()


@instantly
async def test_a_hub_that_cannot_give_back_at_its_end_leaves_the_lease_for_the_next(tmp_path_factory: pytest.TempPathFactory) -> None:
    house = House(tmp_path_factory.mktemp("state"))
    house.finds(MOVES)
    house.failing = {"give_back"}
    await house.lives(300)
    assert house.words == ["take", "give_back"]
    assert house.stick.owed


@instantly
async def test_a_stick_that_cannot_be_taken_is_given_back_and_tried_again_later_and_later(tmp_path_factory: pytest.TempPathFactory) -> None:
    house = House(tmp_path_factory.mktemp("state"), takes=0.0)
    house.finds(MOVES)
    house.failing = {"take"}
    await house.lives(3_000)
    assert house.words == ["take", "give_back"] * 4
    times = [at for at, word in house.history if word == "take"]
    assert [later - earlier for earlier, later in itertools.pairwise(times)] == pytest.approx([300, 600, 1_200], abs=TERMS.look)
    assert house.states[-1][0] == "lent"
    assert "the last try failed: hand_over.take failed with status 1" in house.states[-1][1]
    assert "up" not in [state for state, _ in house.states]


@instantly
async def test_an_owner_that_lets_go_of_the_port_a_little_late_costs_no_loan(tmp_path_factory: pytest.TempPathFactory) -> None:
    house = House(tmp_path_factory.mktemp("state"))
    house.radio.trouble = PortHeld("its owner has not let go yet")
    house.later(100, lambda: house.finds(MOVES))
    house.later(130, lambda: setattr(house.radio, "trouble", None))
    house.later(400, lambda: house.finds(NOTHING))
    await house.lives(1_000)
    assert house.words == ["take", "give_back"]
    assert "up" in [state for state, _ in house.states]


@pytest.mark.parametrize(
    ("trouble", "loans", "state"),
    [
        (WrongNetwork("another network"), 1, "wrong_network"),
        (RadioInUse("another program"), 4, "lent"),
        (PortHeld("held by its owner"), 4, "lent"),
        (RadioUnavailable("no stick"), 4, "lent"),
    ],
)
def test_a_radio_that_does_not_come_up_is_given_back_and_another_network_waits_for_an_operator(
    trouble: RadioError, loans: int, state: str, tmp_path: Path
) -> None:
    @instantly
    async def story() -> None:
        house = House(tmp_path, takes=0.0)
        house.radio.trouble = trouble
        house.finds(MOVES)
        await house.lives(2_600)
        assert house.words == ["take", "give_back"] * loans
        assert house.states[-1][0] == state
        assert str(trouble) in house.states[-1][1]
        assert house.owner_has_it

    story()


@instantly
async def test_the_supervisor_gives_signs_of_life_while_commands_take_their_time(tmp_path_factory: pytest.TempPathFactory) -> None:
    house = House(tmp_path_factory.mktemp("state"), takes=100.0)
    house.later(50, lambda: house.finds(MOVES))
    house.later(400, lambda: house.finds(NOTHING))
    async with asyncio.TaskGroup() as group:
        lending = group.create_task(house.lending.run())
        for _ in range(100):
            await asyncio.sleep(11)
            assert house.pulse.silent(longest=8) == []
        lending.cancel()
    assert house.words == ["take", "give_back"]
