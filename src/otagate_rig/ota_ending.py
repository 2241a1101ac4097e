"""How an OTA client ends an upgrade: the Upgrade End Request, its answers and the wait for the time of the upgrade (ZCL rev 8 §11.13.9)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otagate_rig import ota_commands as ota
from otagate_rig.ota_commands import Command
from otagate_rig.ota_oracle import Kind
from otagate_rig.ota_wire import Phase
from otagate_rig.zcl import MalformedError, Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from otagate_rig.ota_wire import Wire
    from otagate_rig.zcl import Frame


class Ending:
    """Reports the end of one download; calls `apply` when the upgrade may happen and `drop` with the reported status when it will not."""

    def __init__(self, wire: Wire, *, apply: Callable[[float], None], drop: Callable[[int, float], None], more: Callable[[float], None]) -> None:
        """`more` is called when the server knows that further images are wanted first."""
        self.wire = wire
        self.oracle = wire.oracle
        self._apply = apply
        self._drop = drop
        self._more = more
        self._image: ota.ImageId | None = None
        self._applicable = False
        self._status: int = Status.SUCCESS
        self._retries = 0
        self._lost = wire.spec.behaviours.lost_end_responses

    def report(self, status: int, image: ota.ImageId, now: float, *, applicable: bool = True) -> None:
        """Tell the server how the download of `image` ended; `applicable` is False where there was none."""
        self._status, self._image, self._applicable = status, image, applicable
        self._retries = 0
        self._send(now)

    def _send(self, now: float, *, again: bool = False) -> None:
        if self._image is None:
            return
        self.wire.phase = Phase.ENDING
        payload = ota.end_request(self._status, self._image)
        request = self.wire.ask(Kind.END, Command.UPGRADE_END_REQUEST, payload, now, again=again)
        request.status = self._status
        self.oracle.asked(request)
        self.oracle.counters.end_requests += 1
        self.wire.at(now + self.wire.spec.request_timeout, self._timed_out)

    def _timed_out(self, now: float) -> None:
        self.oracle.counters.timeouts += 1
        self._retries += 1
        if self._retries <= self.wire.spec.request_retries:
            self._send(now, again=True)
        elif self._status == Status.SUCCESS and self._applicable:
            # UpgradeTimeoutPolicy 0 (§11.10.12): a server that no longer answers does not keep the image from being applied.
            self._apply(now)
        else:
            self._drop(self._status, now)

    def response(self, frame: Frame, src_ep: int, now: float) -> Status:
        """Take an Upgrade End Response."""
        if self._lost > 0:
            self._lost -= 1
            return Status.SUCCESS
        try:
            response = ota.read_end_response(frame.payload)
        except MalformedError as error:
            self.oracle.violate("malformed", str(error))
            return Status.MALFORMED_COMMAND
        concerns_us = self._released(frame) or self._answers(frame, src_ep)
        if concerns_us and self._image is not None and self.oracle.judge_end(response, self._image):
            self._schedule(response, now)
        return Status.SUCCESS

    def _released(self, frame: Frame) -> bool:
        """Whether the server sends a time by itself to a client that it told to wait (§11.13.9.7)."""
        request = self.oracle.requests.get(frame.tsn)
        due = request is not None and request.kind is Kind.END and request.open
        return self.wire.phase in (Phase.HOLDING, Phase.COUNTDOWN) and not due

    def _answers(self, frame: Frame, src_ep: int) -> bool:
        self.oracle.judge_response(frame, src_ep, self.wire.server_endpoint)
        request = self.oracle.answered(frame.tsn, Kind.END)
        if request is None:
            return False
        if request.status != Status.SUCCESS:
            self.oracle.violate("end_response_to_failed_upgrade", f"status 0x{request.status:02X}")
            return False
        return self.wire.phase in (Phase.ENDING, Phase.HOLDING, Phase.COUNTDOWN)

    def _schedule(self, response: ota.EndResponse, now: float) -> None:
        if not self._applicable:
            self.wire.phase = Phase.IDLE
            self.wire.at(now + self.wire.spec.behaviours.query_loop_seconds, self._send)
        elif response.upgrade_time == ota.WAIT_FOREVER:
            self.wire.phase = Phase.HOLDING
            self._retries = 0
            self.wire.at(now + self.wire.spec.hold_interval, self._send)
        elif response.upgrade_time <= response.current_time:
            self._apply(now)
        else:
            self.wire.phase = Phase.COUNTDOWN
            self.wire.at(now + (response.upgrade_time - response.current_time) * self.wire.server_second, self._apply)

    def refused(self, reported: int, status: int, now: float) -> None:
        """Take a Default Response with `status` to an Upgrade End Request that reported `reported`."""
        if reported == Status.SUCCESS and status == Status.SUCCESS:
            self.oracle.violate("no_answer", "a Default Response SUCCESS to a successful Upgrade End Request")
        elif reported != Status.SUCCESS and status != Status.SUCCESS:
            self.oracle.violate("failed_end_refused", f"status 0x{status:02X} instead of SUCCESS")
        if reported == Status.REQUIRE_MORE_IMAGE and status == Status.SUCCESS:
            self._more(now)
        else:
            self._drop(reported, now)
