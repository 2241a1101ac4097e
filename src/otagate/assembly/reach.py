"""What a hub reaches: its radios, update services, clouds and interlocks."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from otagate import ports
from otagate.accounts import repository, terms
from otagate.assembly.known import Known
from otagate.config import IOTAAP, ZIGBEE2MQTT, ZWAVE_JS, InterlockSettings, MqttSettings, NotifySettings, RadioSettings, SourceSettings, broker_at
from otagate.config.secrets import read_secret
from otagate.engine.bound import BoundFeed
from otagate.engine.clouds import CloudFeed
from otagate.engine.feeds import Offering
from otagate.engine.keeping import Keeping
from otagate.engine.lending import Told
from otagate.engine.notifier import AGAIN, Notifier
from otagate.engine.offers import Offers, ServiceFeed
from otagate.engine.pins import Pins
from otagate.engine.quotas import StoredQuotas
from otagate.engine.supervise import supervise_line
from otagate.engine.talks import Talks
from otagate.engine.upkeep import Upkeep
from otagate.folders.local_files import LocalFiles
from otagate.model.clouds import THE_CLOUD, CloudDevice
from otagate.model.ids import DeviceId, RadioName
from otagate.mqtt import notices as topics
from otagate.mqtt.interlocks import TopicInterlock
from otagate.net.http import HttpClient
from otagate.net.interlocks import HttpInterlock
from otagate.net.notices import Ntfy, Webhook
from otagate.net.offline import SENTENCE, Offline
from otagate.policy.airtime import AIR_SHARE
from otagate.ports import Courier, Interlock, Radio
from otagate.radios.anchors import anchor_for
from otagate.radios.cloud import CloudRadio
from otagate.radios.handouts import Counter
from otagate.radios.zigbee import ZigbeeRadio, ZigbeeSettings
from otagate.sources.delegated import Delegate
from otagate.sources.registry import DELEGATES, REGISTRY, Accounts

if TYPE_CHECKING:
    from otagate.mqtt.line import Line


_LARGEST_LIST = 8 << 20
"""Bytes of the list of devices that zigbee2mqtt tells: a few KiB each."""


def _line_to(broker: MqttSettings | RadioSettings, *, status: str | None, largest: int | None = None) -> Line:
    """A line to the broker that this section names."""
    from otagate.mqtt.line import MAX_PACKET, Address, Line  # with its client library, which only a hub with a broker needs

    password = None if broker.password_file is None else read_secret(broker.password_file, at_least=1)
    host, port, tls = broker_at(broker.url)
    address = Address(host=host, port=port, tls=tls, username=broker.username, password=password, ca_file=broker.ca_file)
    return Line(address, status=status, largest=largest or MAX_PACKET)


class Reach(Known):
    """What stands behind the ports that lead outside."""

    @cached_property
    def http(self) -> HttpClient:
        """The way to update services."""
        return HttpClient(
            cache=self.cache,
            quotas=StoredQuotas(self.store),
            clock=self.clock,
            answers=self.settings.state_dir / "answers",
            allow_private=self.settings.http.allow_private,
            anchors=anchor_for,
        )

    @cached_property
    def talks(self) -> Talks:
        """Conversations with update services."""
        return Talks(self.outside)

    @cached_property
    def outside(self) -> ports.HttpClient:
        """The way out for sources; interlocks and receivers of notices are no sources."""
        return Offline() if self.settings.policy.offline else self.http

    @property
    def never_asked(self) -> Mapping[str, str]:
        """Why a source is not asked at all, by its name."""
        if not self.settings.policy.offline:
            return {}
        return {each.name: f"{SENTENCE[0].upper()}{SENTENCE[1:]}." for each in self.settings.sources if each.is_outside}

    @cached_property
    def offers(self) -> Offers:
        """What update services offer."""
        services: list[Offering] = [self._service(each) for each in self.settings.sources if each.type in REGISTRY]
        return Offers([*services, *self.repositories, *self.clouds])

    @cached_property
    def keeping(self) -> Keeping:
        """Which images stay."""
        return Keeping(store=self.store, library=self.library, offers=self.offers, clock=self.clock, most=self.settings.images.keep_good)

    @cached_property
    def upkeep(self) -> Upkeep:
        """What the hub does for itself."""
        store = self.settings.store
        return Upkeep(
            store=self.store,
            journal=self.journal,
            library=self.library,
            keeping=self.keeping,
            copies=self.copies,
            clock=self.clock,
            keep_facts=store.keep_facts,
            copy_every=store.copy_every,
            keep_copies=0 if store.in_memory else store.keep_copies,
        )

    @cached_property
    def repositories(self) -> Sequence[BoundFeed]:
        """The sources that keep firmware for single devices, and take some for them."""
        return [self._bound(each) for each in self.settings.sources if each.type == IOTAAP]

    @cached_property
    def clouds(self) -> Sequence[CloudFeed]:
        """The sources whose devices their own clouds update."""
        accounts = Accounts(pace=self.pace.waits.pace)
        chosen = [(each, DELEGATES[each.type](terms(each), accounts)) for each in self.settings.sources if each.type in DELEGATES]
        return [
            CloudFeed(delegate=delegate, type=each.type, talks=self.talks, clock=self.clock, tell=self._tell_devices) for each, delegate in chosen
        ]

    def _tell_devices(self, source: str, devices: Sequence[CloudDevice]) -> None:
        if self.cloud is not None:
            self.cloud.told(source, devices)

    @cached_property
    def cloud(self) -> CloudRadio | None:
        """What stands for a radio to devices of clouds; None where no source has such."""
        delegates: list[Delegate] = [*(each.delegate for each in self.clouds), *(each.repository for each in self.repositories)]
        if not delegates:
            return None
        return CloudRadio(
            delegates=delegates, talks=self.talks, standing=self.offers, emit=self.intake.emit, clock=self.clock, patience=self.pace.cloud
        )

    def _service(self, each: SourceSettings) -> ServiceFeed:
        talks = self.talks
        if each.path is not None:
            talks = Talks(LocalFiles(folder=each.path.parent, http=self.outside, cache=self.cache, clock=self.clock))
        return ServiceFeed(source=REGISTRY[each.type](terms(each)), type=each.type, registry=self.registry, talks=talks, clock=self.clock)

    def _bound(self, each: SourceSettings) -> BoundFeed:
        return BoundFeed(
            repository=repository(each),
            bindings={DeviceId(binding.device): binding.iotaap_device for binding in each.bindings or () if binding.device is not None},
            type=each.type,
            talks=self.talks,
            library=self.library,
            cache=self.cache,
            pins=Pins(self.store, each.name),
            journal=self.journal,
            clock=self.clock,
            tell=self._tell_devices,
        )

    @cached_property
    def radios(self) -> Mapping[RadioName, Radio]:
        """Every configured radio, and what stands for one to devices of clouds."""
        radios = {RadioName(each.name): self._radio(each) for each in self.settings.radios}
        return radios if self.cloud is None else {**radios, THE_CLOUD: self.cloud}

    @cached_property
    def told(self) -> Mapping[RadioName, Told]:
        """What passes on what is told by the radios whose sticks other programs have."""
        shared = ((each.name, each.hand_over) for each in self.settings.radios)
        return {RadioName(name): Told(self.intake.emit, hand_over.to) for name, hand_over in shared if hand_over is not None}

    def _radio(self, each: RadioSettings) -> Radio:
        if each.type == ZWAVE_JS:
            from otagate.radios.zwave import ZwaveRadio, ZwaveSettings  # with its client library, which a hub of Zigbee radios goes without

            zwave = ZwaveSettings(name=RadioName(each.name), url=each.url or "", region=each.region, pace=self.pace.zwave_pace)
            return ZwaveRadio(zwave, emit=self.intake.emit, clock=self.clock, patience=self.pace.zwave)
        if each.type == ZIGBEE2MQTT:
            return self._zigbee2mqtt(each)
        zigbee = ZigbeeSettings(
            name=RadioName(each.name),
            type=each.type,
            path=each.path or "",
            network=each.network,
            baudrate=each.baudrate,
            flow_control=each.flow_control,
            channel=each.channel,
            air_share=AIR_SHARE if each.air_share is None else each.air_share / 100,
            air_pace=self.pace.air,
            lent=each.hand_over is not None,
            listen_seconds=self.pace.listen,
            interview_pause=self.pace.interview,
        )
        return ZigbeeRadio(
            zigbee,
            state_dir=self.settings.state_dir,
            emit=self.told.get(zigbee.name, self.intake.emit),
            clock=self.clock,
            quirk_of=self.quirk_of,
            patience=self.pace.patience,
        )

    def _zigbee2mqtt(self, each: RadioSettings) -> Radio:
        from otagate.radios.zigbee2mqtt import Zigbee2mqttRadio, Zigbee2mqttSettings

        line = _line_to(each, status=None, largest=_LARGEST_LIST)
        settings = Zigbee2mqttSettings(
            name=RadioName(each.name), base=each.base_topic or ZIGBEE2MQTT, images_url=each.images_url, pace=self.pace.zigbee2mqtt_pace
        )
        return Zigbee2mqttRadio(
            settings,
            line=line,
            counter=self.counter,
            kinds=self._kinds,
            emit=self.intake.emit,
            clock=self.clock,
            patience=self.pace.zigbee2mqtt,
        )

    @cached_property
    def counter(self) -> Counter:
        """Files that lie ready for other programs."""
        return Counter(self.clock)

    def _kinds(self) -> set[tuple[int, int]]:
        """Manufacturer code and image type of every Zigbee firmware that anybody here knows: offered, stored, or told by a device."""
        facts = ((each.facts.manufacturer_code, each.facts.image_type) for each in self.library.images())
        told = ((each.manufacturer_code, each.image_type) for device in self.registry.devices() for each in device.components)
        return self.offers.kinds() | {(code, image_type) for code, image_type in (*facts, *told) if code is not None and image_type is not None}

    @cached_property
    def line(self) -> Line | None:
        """The line to the MQTT broker, where there is one."""
        mqtt = self.settings.mqtt
        if mqtt.url is None:
            return None
        return _line_to(mqtt, status=f"{mqtt.base_topic}/status")

    def life_of_line(self, line: Line) -> Coroutine[Any, Any, None]:
        """What keeps the line to the broker alive."""
        return supervise_line(line.run, clock=self.clock, backoff=self.pace.backoff)

    @cached_property
    def notifiers(self) -> Mapping[str, Notifier]:
        """Who is told what happens."""
        return {each.name: self._notifier(each) for each in self.settings.notify}

    def _notifier(self, each: NotifySettings) -> Notifier:
        return Notifier(
            name=each.name,
            kind=each.type,
            courier=self._courier(each),
            journal=self.journal,
            store=self.store,
            clock=self.clock,
            least=each.severity,
            quiet=None if each.quiet is None else each.quiet.window(),
            radios=frozenset(radio.name for radio in self.settings.radios),
            again=topics.AGAIN if each.type == "mqtt" else AGAIN,
        )

    def _courier(self, each: NotifySettings) -> Courier:
        if each.type == "mqtt" and self.line is not None:
            topic = each.topic or f"{self.settings.mqtt.base_topic}/notices/{each.name}"
            return topics.TopicCourier(name=each.name, topic=topic, broker=self.line)
        file = each.token_file if each.type == "ntfy" else each.secret_file
        secret = None if file is None else read_secret(file, at_least=1)
        if each.type == "ntfy":
            return Ntfy(name=each.name, url=each.url or "", token=secret, http=self.http)
        return Webhook(name=each.name, url=each.url or "", secret=secret, http=self.http)

    def _interlocks(self) -> Mapping[str, Interlock]:
        return {each.name: self._interlock(each) for each in self.settings.interlocks}

    def _interlock(self, each: InterlockSettings) -> Interlock:
        if each.topic is None or self.line is None:
            return HttpInterlock(name=each.name, url=each.url or "", http=self.http)
        told = TopicInterlock(
            topic=each.topic,
            allow=frozenset(word.strip().encode() for word in each.allow),
            broker=self.line,
            clock=self.clock,
            max_age=None if each.max_age is None else each.max_age.total_seconds(),
        )
        self.line.listen(told)
        return told
