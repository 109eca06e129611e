"""What an engine notes: of a submission when it is over, and at each beat of itself and its device."""

import logging
import time
from dataclasses import dataclass
from typing import Any

from service.errors import ServiceError
from service.runtime.bunches import Bunch
from service.runtime.devices import Device
from service.runtime.listener import Outcome
from service.runtime.work import Work
from service.settings import Settings
from service.telemetry.conditions import Conditions
from service.telemetry.instruments import Instruments
from service.telemetry.lines import Lines, milliseconds, told_of
from service.telemetry.logs import plain, told
from service.telemetry.traces import NoTracer, Tracer
from service.telemetry.vitals import Vitals

log = logging.getLogger(__name__)
log.setLevel(logging.INFO)  # these lines are wanted however little else is logged


@dataclass(frozen=True, slots=True)
class Noting:
    """What one engine notes; called with every submission that it has answered."""

    instruments: Instruments
    device: str
    lines: Lines
    tracer: Tracer

    @classmethod
    def of(cls, settings: Settings, instruments: Instruments, device: str, tracer: Tracer) -> "Noting":
        """As the settings say."""
        return cls(instruments, device, Lines(settings), tracer)

    def __call__(self, work: Work, outcome: Outcome) -> None:
        """Note one."""
        seconds, lines = time.monotonic() - work.arrived, self.lines
        if (waited_s := work.waited_s) is not None:
            self.instruments.conditions.batch_seconds.labels(work.call.model).observe(seconds - waited_s)
            if work.request_id and not isinstance(self.tracer, NoTracer):
                self._trace(work, seconds, waited_s)
        if lines.every or seconds > lines.slow_s or isinstance(outcome, ServiceError):
            self._write(work, outcome, seconds)

    def together(self, bunch: Bunch, start: int, stop: int) -> bool:
        """Note the submissions of a bunch that are answered now; False where each is to be noted by itself."""
        seconds, waited_s = time.monotonic() - bunch.arrived, bunch.pass_of(start).waited_s
        if self.lines.every or seconds > self.lines.slow_s or not isinstance(self.tracer, NoTracer):
            return False
        spent = self.instruments.conditions.batch_seconds.labels(bunch.call.model)
        spent.observe_all([seconds - waited_s] * (stop - start))
        return True

    def _trace(self, work: Work, seconds: float, waited_s: float) -> None:
        spoken: dict[str, Any] = {
            "model": work.call.model,
            "verb": work.call.verb,
            "rows": work.rows,
            "device": self.device,
        }
        self.tracer.part(work.request_id, "queue", waited_s, seconds - waited_s, **spoken)
        self.tracer.part(work.request_id, "batch", seconds - waited_s, **spoken)
        if work.device_s:
            self.tracer.part(
                work.request_id, "device", work.device_s, seconds - (work.computed - work.arrived), **spoken
            )

    def _write(self, work: Work, outcome: Outcome, seconds: float) -> None:
        kept_back = self.lines.take()
        if kept_back is None:
            return
        error = outcome if isinstance(outcome, ServiceError) else None
        waited_s = work.waited_s
        log.info(
            "%s %s",
            work.call.verb,
            "failed" if error else "was slow" if seconds > self.lines.slow_s else "answered",
            extra=told(
                request=plain(work.request_id) or None,
                model=work.call.model,
                device=self.device,
                lane=work.lane.value,
                rows=work.rows,
                ms=milliseconds(seconds),
                wait_ms=None if waited_s is None else milliseconds(waited_s),
                work_ms=None if waited_s is None else milliseconds(seconds - waited_s),
                **told_of(error),
                lines_left_out=kept_back or None,
            ),
        )


class DeviceVitals(Vitals):
    """What an engine takes, and its device."""

    def __init__(self, conditions: Conditions, device: Device) -> None:
        super().__init__(conditions, "engine")
        self._device = device
        self._busy_s = 0.0

    def _note_all(self, helpers: list[int]) -> None:
        super()._note_all(helpers)
        device, busy_s = self._device, self._device.steps.busy_s
        for kind, size in device.memory_bytes().items():
            self._conditions.device_memory_bytes.labels(device.name, kind).set(size)
        self._conditions.device_busy_seconds.labels(device.name).inc(busy_s - self._busy_s)
        self._busy_s = busy_s
