"""An OTA Upgrade client as a state machine without I/O (ZCL rev 8 §11.13): frames and times in, effects out.

`now` is always seconds on the device's own clock. What the client does is the specification's; where real clients do otherwise is switched on
by `Behaviours`. What the server does wrong is the oracle's affair.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from otagate_rig import ota_commands as ota
from otagate_rig import zcl
from otagate_rig.image import BadImageError, read_header
from otagate_rig.ota_commands import Command, ImageId
from otagate_rig.ota_download import Download, Downloader
from otagate_rig.ota_ending import Ending
from otagate_rig.ota_oracle import Kind, Oracle
from otagate_rig.ota_wire import UPGRADE_STATUS, Effect, Phase, Restart, Send, Wire
from otagate_rig.zcl import Attribute, DataType, Status

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping

    from otagate_rig.spec import DeviceSpec

MOST_IMAGE_BYTES = 16 << 20

_INTERRUPTIBLE = (Phase.DOWNLOADING, Phase.WAITING, Phase.ENDING, Phase.HOLDING, Phase.COUNTDOWN)


class OtaClient:
    """The client of one image type of one device."""

    def __init__(
        self,
        spec: DeviceSpec,
        *,
        dice: random.Random,
        known: Mapping[ImageId, bytes] | None = None,
        server_second: float = 1.0,
    ) -> None:
        """`known` are the images that a server could truly send; `server_second` is how long its second is on the device's clock."""
        self.spec = spec
        self.behaviours = spec.behaviours
        self.oracle = Oracle(known=known or {})
        self.wire = Wire(spec, self.oracle, first_tsn=dice.randrange(256), server_second=server_second)
        self.downloader = Downloader(self.wire, finished=self._downloaded, gave_up=self._gave_up)
        self._ending = Ending(self.wire, apply=self._apply, drop=self._drop, more=self._next_image)
        self.images: dict[int, bytes] = {}
        self._versions = {spec.image_type: spec.file_version, **dict(spec.more_images)}
        self._image_type = spec.image_type
        self._staged: dict[int, int] = {}
        self._installing = False
        self.server_ieee = 0xFFFFFFFFFFFFFFFF
        self.received = b""
        self._dice = dice
        self._ask_at: float | None = None
        self._retries = 0
        self._answers = 0
        self._round: list[int] = []  # image types that are asked for when there is none of this one
        self._strays = spec.behaviours.end_without_download

    @property
    def phase(self) -> Phase:
        """What the client is doing."""
        return self.wire.phase

    @property
    def download(self) -> Download | None:
        """The image on its way, or waiting to be applied."""
        return self.downloader.current

    @property
    def file_version(self) -> int:
        """The version that runs now."""
        return self._versions[self.spec.image_type]

    @property
    def versions(self) -> dict[int, int]:
        """What runs now on every processor of the device, by image type."""
        return dict(self._versions)

    @property
    def running(self) -> ImageId:
        """What runs now where the next image would go."""
        manufacturer_code, image_type = self.behaviours.asks_as or (self.spec.manufacturer_code, self._image_type)
        return ImageId(manufacturer_code, image_type, self._told_version(self._image_type))

    def _told_version(self, image_type: int) -> int:
        told = self.behaviours.tells_version
        return self._versions[image_type] if told is None else told

    @property
    def awaiting(self) -> bool:
        """Whether an answer of the server is due, so that a sleepy device polls fast."""
        return self.wire.phase in (Phase.QUERYING, Phase.DOWNLOADING, Phase.ENDING)

    @property
    def deadline(self) -> float | None:
        """When `tick` wants to be called next."""
        wake_at, ask_at = self.wire.wake_at, self._ask_at
        if wake_at is None or ask_at is None:
            return ask_at if wake_at is None else wake_at
        return min(wake_at, ask_at)

    # Events

    def receive(self, data: bytes, *, src_ep: int, unicast: bool, now: float) -> list[Effect]:
        """Take one ZCL frame of the OTA cluster."""
        if self._misses_answer():
            return []
        self.oracle.hear(data)
        try:
            frame = zcl.decode(data)
        except zcl.MalformedError as error:
            self.oracle.violate("malformed", str(error))
            return []
        if not self.oracle.judge_header(frame):
            status = Status.UNSUP_COMMAND
        elif frame.cluster_specific:
            status = self._cluster_command(frame, src_ep, unicast, now)
        else:
            return self._general_command(frame, now)
        if unicast and zcl.wants_default_response(frame, status):
            self.wire.out.append(Send(zcl.default_response(frame, status), request=False))
        return self.wire.flush()

    def _misses_answer(self) -> bool:
        self._answers += self.awaiting
        return self.awaiting and self._answers in self.behaviours.misses

    def tick(self, now: float) -> list[Effect]:
        """Do what is due at `now`."""
        self.wire.wake(now)
        if self._ask_at is not None and self._ask_at <= now and self.behaviours.asks_every is not None:
            self._ask_at = now + self.behaviours.asks_every
            self._query_if_idle(now)
        return self.wire.flush()

    def check_for_image(self, now: float) -> list[Effect]:
        """Ask the server by the client's own decision."""
        self._query_if_idle(now)
        return self.wire.flush()

    def power_lost(self) -> None:
        """Lose everything that is not in flash."""
        self.oracle.forget()
        self.wire.rest()
        self.wire.out.clear()
        self.downloader.power_lost()

    def power_up(self, now: float) -> list[Effect]:
        """Start again, with the firmware and the download that the flash holds; an image that was being applied runs now."""
        if self.behaviours.asks_every is not None:
            self._ask_at = now + self.behaviours.asks_every
        interrupted = self.wire.phase in _INTERRUPTIBLE and self.download is not None
        self.wire.phase = Phase.IDLE
        if self._installing:
            self._install()
        if interrupted and self.behaviours.asks_again:
            if self.behaviours.queries_after_power_cut:
                self._query_if_idle(now)
            else:
                self.downloader.resume(now)
        return self.wire.flush()

    def attributes(self) -> dict[int, Attribute]:
        """The client attributes of the cluster (§11.10) as they are now."""
        download = self.download
        staged = download.image.file_version if download is not None and download.complete else 0xFFFFFFFF
        values = (
            (0x0000, DataType.EUI64, self.server_ieee),
            (0x0001, DataType.UINT32, 0xFFFFFFFF if download is None else download.offset),
            (0x0002, DataType.UINT32, self._told_version(self.spec.image_type)),
            (0x0004, DataType.UINT32, staged),
            (0x0006, DataType.ENUM8, UPGRADE_STATUS[self.wire.phase]),
            (0x0007, DataType.UINT16, self.spec.manufacturer_code),
            (0x0008, DataType.UINT16, self.spec.image_type),
            (0x0009, DataType.UINT16, self.downloader.block_period or 0),
            (0x000A, DataType.UINT32, 0xFFFFFFFF),
            (0x000B, DataType.ENUM8, self.behaviours.activation_policy),
            (0x000C, DataType.ENUM8, self.behaviours.timeout_policy),
        )
        hidden = (0x0002, 0x0007, 0x0008) if self.behaviours.without_attributes else ()
        return {key: Attribute(key, kind, value) for key, kind, value in values if key not in hidden and value is not None}

    # Frames

    def _general_command(self, frame: zcl.Frame, now: float) -> list[Effect]:
        if frame.command == zcl.DEFAULT_RESPONSE:
            self._default_response(frame, now)
            return self.wire.flush()
        answer = zcl.answer_general(frame, self.attributes())
        if answer.response:
            self.wire.out.append(Send(answer.response, request=False))
        elif answer.response is None and zcl.wants_default_response(frame, answer.status):
            self.wire.out.append(Send(zcl.default_response(frame, answer.status), request=False))
        return self.wire.flush()

    def _cluster_command(self, frame: zcl.Frame, src_ep: int, unicast: bool, now: float) -> Status:
        if frame.command == Command.IMAGE_NOTIFY:
            return self._image_notify(frame, src_ep, unicast, now)
        if frame.command == Command.IMAGE_BLOCK_RESPONSE:
            self.oracle.judge_response(frame, src_ep, self.wire.server_endpoint)
            return self.downloader.block_response(frame, now)
        if frame.command == Command.QUERY_NEXT_IMAGE_RESPONSE:
            self.oracle.judge_response(frame, src_ep, self.wire.server_endpoint)
            return self._query_response(frame, now)
        if frame.command == Command.UPGRADE_END_RESPONSE:
            return self._ending.response(frame, src_ep, now)
        self.oracle.violate("unknown_command", f"command 0x{frame.command:02X}")
        return Status.UNSUP_COMMAND

    def _default_response(self, frame: zcl.Frame, now: float) -> None:
        if len(frame.payload) != 2:
            self.oracle.violate("malformed", "a Default Response of the wrong length")
            return
        request = self.oracle.requests.get(frame.tsn)
        command, status = frame.payload
        if request is None or command != request.command:
            # It answers a response of ours, which no server need do but any may.
            return
        if self.oracle.answered(frame.tsn, request.kind) is None or request is not self.oracle.latest:
            return
        if request.kind is Kind.END:
            self._ending.refused(request.status, status, now)
        elif status == Status.SUCCESS:
            self.oracle.violate("no_answer", f"a Default Response SUCCESS to a {request.kind.value} request")
        elif request.kind is Kind.QUERY:
            self._no_image(now)
        else:
            self.downloader.refused(request, now)

    # Notify and query

    def _image_notify(self, frame: zcl.Frame, src_ep: int, unicast: bool, now: float) -> Status:
        self.oracle.counters.notifies += 1
        try:
            notify = ota.read_notify(frame.payload)
        except zcl.MalformedError as error:
            self.oracle.violate("malformed", str(error))
            return Status.MALFORMED_COMMAND
        if self.behaviours.ignores_notify or not (unicast or self._concerns(notify)):
            return Status.SUCCESS
        self.wire.server_endpoint = src_ep
        if self._strays and self.wire.phase is Phase.IDLE:
            self._ending.report(Status.SUCCESS, self.running, now, applicable=False)
        else:
            self._query_if_idle(now)
        return Status.SUCCESS

    def _concerns(self, notify: ota.ImageNotify) -> bool:
        """Whether a broadcast notify is for this client (§11.13.3.5): each field fits, the version is another, the dice say yes."""
        mine = self.running
        return (
            notify.manufacturer_code in (mine.manufacturer_code, ota.ANY_MANUFACTURER)
            and notify.image_type in (mine.image_type, ota.ANY_IMAGE_TYPE)
            and notify.file_version != mine.file_version
            and self._dice.randint(1, 100) <= notify.jitter
        )

    def _query_if_idle(self, now: float) -> None:
        if self.wire.phase is Phase.IDLE:
            self._round = [each for each in self._versions if each not in (*self._staged, self._image_type)]
            self._query(now)

    def _query(self, now: float) -> None:
        self.oracle.new_round()
        self._retries = 0
        self._send_query(now)

    def _send_query(self, now: float, *, again: bool = False) -> None:
        self.wire.phase = Phase.QUERYING
        payload = ota.query_request(self.running, self.spec.hardware_version)
        self.oracle.asked(self.wire.ask(Kind.QUERY, Command.QUERY_NEXT_IMAGE_REQUEST, payload, now, again=again))
        self.oracle.counters.queries += 1
        self.wire.at(now + self.spec.request_timeout, self._query_timed_out)

    def _query_timed_out(self, now: float) -> None:
        self.oracle.counters.timeouts += 1
        self._retries += 1
        if self._retries > self.spec.request_retries:
            self._no_image(now)
        else:
            self._send_query(now, again=True)

    def _query_response(self, frame: zcl.Frame, now: float) -> Status:
        try:
            response = ota.read_query_response(frame.payload)
        except zcl.MalformedError as error:
            self.oracle.violate("malformed", str(error))
            return Status.MALFORMED_COMMAND
        if self.oracle.answered(frame.tsn, Kind.QUERY) is None:
            return Status.SUCCESS
        fits = self.oracle.judge_offer(response, self.running.manufacturer_code, self.running.image_type)
        if self.wire.phase is not Phase.QUERYING:
            return Status.SUCCESS
        if not fits or response.image is None or response.size > MOST_IMAGE_BYTES or self.behaviours.refuses_offer:
            self._no_image(now)
        else:
            self.downloader.start(response.image, response.size, now)
        return Status.SUCCESS

    def _no_image(self, now: float) -> None:
        self.wire.phase = Phase.IDLE
        self.wire.rest()
        if self._round:
            self._image_type = self._round.pop(0)
            self._query(now)
        elif self.behaviours.query_loop:
            self.wire.at(now + self.behaviours.query_loop_seconds, self._query_if_idle)

    # The end

    def _gave_up(self, status: Status | None, now: float) -> None:
        self.wire.phase = Phase.IDLE
        self.wire.rest()
        if status is not None and self.download is not None:
            self._ending.report(status, self.download.image, now)

    def _downloaded(self, now: float) -> None:
        download = self.download
        if download is None:
            return
        self.received = bytes(download.data)
        self.oracle.counters.downloads_completed += 1
        if self.behaviours.verify_seconds:
            self.wire.at(now + self.behaviours.verify_seconds, self._verified)
        else:
            self._verified(now)

    def _verified(self, now: float) -> None:
        download = self.download
        if download is None:
            return
        forced = self.behaviours.end_status
        status = self._verify(download) if forced is None else forced
        if status == Status.SUCCESS:
            self._staged[download.image.image_type] = download.image.file_version
            self.images[download.image.image_type] = self.received
            if len(self._staged) < len(self._versions):
                status = Status.REQUIRE_MORE_IMAGE
        if status == Status.SUCCESS and self.behaviours.applies_by_itself:
            self._apply(now)
        else:
            self._ending.report(status, download.image, now)

    def _verify(self, download: Download) -> Status:
        """Check the file as a client does before it ends the upgrade (§11.13.9.1), and the digest where the device knows one."""
        try:
            header = read_header(self.received)
        except BadImageError:
            return Status.INVALID_IMAGE
        found = ImageId(header.manufacturer_code, header.image_type, header.file_version)
        hardware = self.spec.hardware_version
        fits = found == download.image and header.total_size == download.size
        if hardware is not None and header.hardware_range is not None:
            fits = fits and header.hardware_range[0] <= hardware <= header.hardware_range[1]
        for version, digest in self.spec.digests:
            if version == found.file_version:
                fits = fits and hashlib.sha256(self.received).hexdigest() == digest
        return Status.SUCCESS if fits else Status.INVALID_IMAGE

    def _next_image(self, now: float) -> None:
        """Ask for the image of the next processor of the device, or rest where a forced status only pretends that there is one."""
        self.downloader.current = None
        self.wire.phase = Phase.IDLE
        self.wire.rest()
        missing = [image_type for image_type in self._versions if image_type not in self._staged]
        if self._staged and missing:
            self._image_type = missing[0]
            self._query_if_idle(now)

    def _drop(self, reported: int, now: float) -> None:
        """Go back to rest; an image that failed its verification is thrown away, one that the client gave up on is kept."""
        self._strays = False
        if reported != Status.ABORT:
            self.downloader.current = None
            self._staged.clear()
            self._image_type = self.spec.image_type
        self._no_image(now)

    def _apply(self, now: float) -> None:
        self.wire.phase = Phase.APPLYING
        self.wire.rest()
        if self.behaviours.returns_with_old_version:
            self._staged.clear()
        self._installing = True
        self.wire.out.append(Restart(self.spec.reboot_seconds))

    def _install(self) -> None:
        self._installing = False
        self._versions.update(self._staged)
        self._staged.clear()
        self._image_type = self.spec.image_type
        self.downloader.current = None
