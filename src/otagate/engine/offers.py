"""What update services offer, in memory: asked for in batches, kept as long as an answer may serve, merged by whoever consults."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from otagate.engine.feeds import HARD_LIFE, FeedState, Offering, Publishing, counted
from otagate.engine.registry import Registry
from otagate.engine.talks import Talks
from otagate.model.devices import Component, Device
from otagate.model.errors import NotFound, SourceError, SourceMisconfigured
from otagate.model.ids import DeviceId, image_type_of, target_of
from otagate.model.releases import Release
from otagate.model.versions import same_version, version_key
from otagate.policy.catalogue import is_of, is_promised_otherwise
from otagate.policy.match import plain_region
from otagate.ports import Clock
from otagate.sources.effects import Stored
from otagate.sources.records import Recorder, RoomSync
from otagate.sources.source import Offer, Question, Skipped, Source, ZigbeeQuestion, ZwaveQuestion

TAKEN_BACK = "{} does not offer it any more"


@dataclass(slots=True)
class ServiceFeed:
    """One service: what it was asked, what it offers, how it fares. Implements `feeds.Offering`."""

    source: Source
    type: str
    registry: Registry
    talks: Talks
    clock: Clock
    state: FeedState = field(default_factory=FeedState)
    _offers: tuple[Offer, ...] = ()
    _skipped: tuple[Skipped, ...] = ()
    _asked: frozenset[Question] = frozenset()
    _at: datetime | None = None

    def __post_init__(self) -> None:
        self.state.service = self.source.service

    @property
    def name(self) -> str:
        """The name in the configuration."""
        return self.source.name

    @property
    def recorder(self) -> Recorder | None:
        """See `feeds.Feed.recorder`."""
        return self.source if isinstance(self.source, Recorder) else None

    @property
    def room_sync(self) -> RoomSync | None:
        """See `feeds.Feed.room_sync`."""
        return self.source if isinstance(self.source, RoomSync) else None

    async def read(self) -> bool:
        """Ask about every component that concerns it; True where it offers other things now. Raises nothing of the service's: see `state`."""
        return await self._ask(self._questions(), anew=True)

    async def read_news(self) -> bool:
        """Ask about what it was not asked yet; True where it offers other things now."""
        news = frozenset() if self._knows_all() else self._questions() - self._asked
        return await self._ask(news, anew=False) if news else False

    def wonders_about(self, device: Device) -> bool:
        """Whether the device raises a question that it was not asked yet."""
        if self._knows_all() or self.state.condition == "offline":
            return False
        questions = (question_of(device, component) for component in device.components)
        return any(each is not None and each not in self._asked and self.source.concerns(each) for each in questions)

    def _knows_all(self) -> bool:
        return self.source.whole and bool(self._asked)

    def _questions(self) -> frozenset[Question]:
        questions = (question_of(device, component) for device in self.registry.devices() for component in device.components)
        return frozenset(each for each in questions if each is not None and self.source.concerns(each))

    async def _ask(self, questions: frozenset[Question], *, anew: bool) -> bool:
        before, now = self._offers, self.clock.now()
        try:
            found = await self.talks.hold(self.source.service, self.source.consult(sorted(questions, key=repr)))
        except SourceError as error:
            self._note(error, now)
            return self._offers != before
        if anew:
            self._offers, self._skipped, self._asked = found.offers, found.skipped, questions
            self.state.fresh_until = None if found.fresh_for is None else now + found.fresh_for
        else:
            kept = (each for each in self._offers if each.question not in questions)
            self._offers = tuple(dict.fromkeys((*kept, *found.offers)))
            self._skipped, self._asked = tuple(dict.fromkeys((*self._skipped, *found.skipped))), self._asked | questions
        self._at = self.state.last_success = self.clock.now()
        self.state.releases = len(self._offers)
        left_out = self.state.leaves_out(self._skipped)
        told = f"{counted(len(self._offers), 'release')} for {counted(len(self._asked), 'kind')} of component"
        asked = self.source.whole or self._asked
        self.state.now("ok", f"{told}{left_out}{self._hidden()}" if asked else "not asked: no device here concerns it")
        return self._offers != before

    def _hidden(self) -> str:
        """What a service keeps to itself, because it was not told where nodes are (most releases of some makers are for one region)."""
        nowhere = sum(isinstance(each, ZwaveQuestion) and each.region is None for each in self._asked)
        return f"; regional updates are hidden for {counted(nowhere, 'kind')} of node: set `region` of their radio" if nowhere else ""

    def _note(self, error: SourceError, now: datetime) -> None:
        """A service that fails: what it said last serves for a day and is told to be old."""
        if self._at is not None and now - self._at > HARD_LIFE:
            self._offers, self._at, self._asked = (), None, frozenset()
            self.state.releases = 0
        self.state.failed(error, serves_on=bool(self._offers))

    def releases_for(self, device: Device, component: Component) -> list[Release]:
        """What it offers for a component, by its kind; whether it fits is for policy to say."""
        question = question_of(device, component)
        if question is None or self.state.outlived(self.clock.now()):
            return []
        return [each.release for each in self._offers if _is_for(each, question, component)]

    def kinds(self) -> set[tuple[int, int]]:
        """Manufacturer code and image type of everything that it offers for Zigbee."""
        found = ((each.release.manufacturer_code, each.release.image_type) for each in self._offers)
        return {(code, image_type) for code, image_type in found if code is not None and image_type is not None}

    def offers(self, image: Release) -> bool:
        """Whether it offers the file that a stored image is."""
        return any(is_of(image, each.release) for each in self._offers)

    async def fetch(self, release: Release) -> Stored:
        """Fetch the file of a release that it offered, as served. Raises SourceError, StoreUnavailable."""
        if self.state.left_alone:  # whatever waits for its files: to ask again and again would mend nothing
            raise SourceMisconfigured(self.state.sentence)
        return await self.talks.hold(self.source.service, self.source.fetch(release))


class Offers:
    """Every service of the configuration."""

    def __init__(self, feeds: Sequence[Offering]) -> None:
        self.feeds = tuple(feeds)
        self._by_name = {feed.name: feed for feed in feeds}
        self._watchers: list[Callable[[str], None]] = []
        self._doubters: list[Callable[[str], None]] = []

    def watch(self, curious: Callable[[str], None], *, doubtful: Callable[[str], None]) -> None:
        """Call these with the name of a service: one that has something new to be asked, and one whose word of before may not hold any more."""
        self._watchers.append(curious)
        self._doubters.append(doubtful)

    def notice(self, device: Device) -> None:
        """A device came, or tells something else: whoever was not asked about it yet is to be asked."""
        for feed in self.feeds:
            if feed.wonders_about(device):
                for watcher in self._watchers:
                    watcher(feed.name)

    def wonder_about(self, device: Device) -> bool:
        """Whether somebody is to be asked something about a device that was not asked yet."""
        return any(feed.wonders_about(device) for feed in self.feeds)

    def withdrew(self, release: Release, device: Device, component: Component) -> bool:
        """Whether the source that offered a release was asked again since, and offers it no more; one that is away took nothing back."""
        offered = self._offered_now(release.source, device, component)
        return offered is not None and not any(_is_same_file(each, release) for each in offered)

    def retracted(self, release: Release, device: Device, component: Component) -> bool:
        """Whether the source that offered a release, or brought its image, has taken it back: it offers neither this version nor a newer one."""
        offered = self._offered_now(release.source, device, component)
        return offered is not None and all(version_key(each.file_version) < version_key(release.file_version) for each in offered)

    def replaced(self, release: Release, device: Device, component: Component) -> bool:
        """Whether the source that offered a release offers its version still, and promises other bytes of it."""
        offered = self._offered_now(release.source, device, component) or ()
        same = [each for each in offered if same_version(each.file_version, release.file_version)]
        return bool(same) and all(is_promised_otherwise(release, each) for each in same)

    def _offered_now(self, source: str, device: Device, component: Component) -> list[Release] | None:
        """What a service offers for a component; None where it does not stand to its word just now."""
        feed = self._by_name.get(source)
        if not isinstance(feed, ServiceFeed) or feed.state.condition != "ok" or feed.state.last_success is None or feed.wonders_about(device):
            return None
        return None if question_of(device, component) is None else feed.releases_for(device, component)

    def kinds(self) -> set[tuple[int, int]]:
        """Manufacturer code and image type of everything that any service offers for Zigbee."""
        return {kind for feed in self.feeds if isinstance(feed, ServiceFeed) for kind in feed.kinds()}

    def abandoned(self, image: Release) -> bool:
        """Whether the service that brought a stored image offers it no more; one that was not heard yet, or is away, took nothing back."""
        feed = self._by_name.get(image.source)
        if not isinstance(feed, ServiceFeed) or feed.state.last_success is None or feed.state.failures:
            return False
        return not feed.offers(image)

    def doubt(self, source: str) -> None:
        """See `ports.Standing.doubt`: whoever reads the service may read it anew."""
        for doubtful in self._doubters:
            doubtful(source)

    def trouble(self, source: str) -> str | None:
        """See `ports.Standing.trouble`."""
        feed = self._by_name.get(source)
        if feed is None:
            return f"the source {source!r} is not configured any more"
        return feed.state.sentence if feed.state.left_alone else None

    def releases_for(self, device: Device, component: Component) -> list[Release]:
        """What all of them offer for a component."""
        return [release for feed in self.feeds for release in feed.releases_for(device, component)]

    def publisher_for(self, device: DeviceId) -> str | None:
        """The source that publishes images to this device of a cloud."""
        return next((each.name for each in self.feeds if isinstance(each, Publishing) and each.takes(device)), None)

    def feed(self, name: str) -> Offering:
        """The service with this name; raises NotFound."""
        try:
            return self._by_name[name]
        except KeyError:
            raise NotFound(f"the source {name!r} is not configured any more") from None


def question_of(device: Device, component: Component) -> Question | None:
    """What a service is asked about a component; None where too little is known of it."""
    if device.protocol == "zigbee":
        return _zigbee_question(device, component)
    if device.protocol == "zwave":
        return _zwave_question(device)
    return None


def _zigbee_question(device: Device, component: Component) -> ZigbeeQuestion | None:
    code = device.manufacturer_code_of(component)
    image_type = image_type_of(component.id) if component.image_type is None else component.image_type
    if code is None or image_type is None:
        return None
    version = component.version if isinstance(component.version, int) else None
    return ZigbeeQuestion(manufacturer_code=code, image_type=image_type, file_version=version, model=device.model)


def _zwave_question(device: Device) -> ZwaveQuestion | None:
    """The question of a node is one for all of its targets: the service answers with files for each."""
    told = ((target_of(each.id), each.version) for each in device.components)
    versions = {target: version for target, version in told if target is not None and isinstance(version, str)}
    main = versions.pop(0, None)
    if device.product is None or main is None:
        return None
    manufacturer_id, product_type, product_id = device.product
    region = None if device.node is None else device.node.region
    return ZwaveQuestion(
        manufacturer_id=manufacturer_id,
        product_type=product_type,
        product_id=product_id,
        firmware_version=main,
        additional=tuple(sorted(versions.items())),
        region=None if region is None else plain_region(region),
    )


def _is_same_file(one: Release, other: Release) -> bool:
    return (one.location, one.file_version) == (other.location, other.file_version) and not is_promised_otherwise(one, other)


def _is_for(offer: Offer, question: Question, component: Component) -> bool:
    if offer.question is not None and offer.question != question:
        return False
    release = offer.release
    if isinstance(question, ZigbeeQuestion):
        return release.protocol == "zigbee" and release.image_type == question.image_type
    return release.protocol == "zwave" and release.target in (None, target_of(component.id))
