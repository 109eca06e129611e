"""What an engine notes: of a submission when it is over, and at each beat of itself and its device."""

import logging
import time
from dataclasses import dataclass
from typing import Any

from service.errors import ServiceError
from service.runtime.devices import Device
from service.runtime.listener import Outcome
from service.runtime.work import Work
from service.settings import Settings
from service.telemetry.advice import advice_on
from service.telemetry.conditions import Conditions
from service.telemetry.instruments import Instruments
from service.telemetry.logs import Allowance, plain, told
from service.telemetry.traces import NoTracer, Tracer
from service.telemetry.vitals import Vitals

log = logging.getLogger(__name__)
log.setLevel(logging.INFO)  # these lines are wanted however little else is logged

AT_ONCE, A_SECOND = 50.0, 10.0


@dataclass(frozen=True, slots=True)
class Noting:
    """What one engine notes; called with every submission that it has answered."""

    instruments: Instruments
    device: str
    every: bool
    slow_s: float
    allowance: Allowance
    tracer: Tracer

    @classmethod
    def of(cls, settings: Settings, instruments: Instruments, device: str, tracer: Tracer) -> "Noting":
        """As the settings say."""
        slow_s = settings.slow_request_s or float("inf")
        return cls(instruments, device, settings.log_requests == "all", slow_s, Allowance(AT_ONCE, A_SECOND), tracer)

    def __call__(self, work: Work, outcome: Outcome) -> None:
        """Note one."""
        seconds = time.monotonic() - work.arrived
        if work.waited_s is not None:
            self.instruments.conditions.batch_seconds.labels(work.call.model).observe(seconds - work.waited_s)
            if work.request_id and not isinstance(self.tracer, NoTracer):
                self._trace(work, seconds, work.waited_s)
        if self.every or seconds > self.slow_s or isinstance(outcome, ServiceError):
            self._write(work, outcome, seconds)

    def _trace(self, work: Work, seconds: float, waited_s: float) -> None:
        spoken: dict[str, Any] = {
            "model": work.call.model,
            "verb": work.call.verb,
            "rows": work.rows,
            "device": self.device,
        }
        self.tracer.part(work.request_id, "queue", waited_s, seconds - waited_s, **spoken)
        self.tracer.part(work.request_id, "batch", seconds - waited_s, **spoken)

    def _write(self, work: Work, outcome: Outcome, seconds: float) -> None:
        kept_back = 0 if self.every else self.allowance.take()
        if kept_back is None:
            return
        error = outcome if isinstance(outcome, ServiceError) else None
        waited_s = work.waited_s
        log.info(
            "%s %s",
            work.call.verb,
            "failed" if error else "was slow" if seconds > self.slow_s else "answered",
            extra=told(
                request=plain(work.request_id) or None,
                model=work.call.model,
                device=self.device,
                lane=work.lane.value,
                rows=work.rows,
                ms=_ms(seconds),
                wait_ms=None if waited_s is None else _ms(waited_s),
                work_ms=None if waited_s is None else _ms(seconds - waited_s),
                error=error and plain(f"{type(error).__name__}: {error.detail}"),
                advice=error and advice_on(error),
                lines_left_out=kept_back or None,
            ),
        )


class DeviceVitals(Vitals):
    """What an engine takes, and its device."""

    def __init__(self, conditions: Conditions, device: Device) -> None:
        super().__init__(conditions, "engine")
        self._device = device
        self._busy_s = 0.0

    def note(self) -> None:
        """Note how things stand."""
        super().note()
        device, busy_s = self._device, self._device.steps.busy_s
        for kind, size in device.memory_bytes().items():
            self._conditions.device_memory_bytes.labels(device.name, kind).set(size)
        self._conditions.device_busy_seconds.labels(device.name).inc(busy_s - self._busy_s)
        self._busy_s = busy_s


def _ms(seconds: float) -> float:
    return round(1000 * seconds, 1)
