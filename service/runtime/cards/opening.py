"""A device by its name, opened as what it is; what only another kind needs is not loaded."""

from service.runtime.cards.naming import SIMULATED, is_card
from service.runtime.devices import Device


def open_device(
    name: str, *, at: str | None = None, threads: int = 0, most_threads: int = 0, most_rows: int = 0
) -> Device:
    """The device of this name, which torch calls `at`. Raises ConfigurationError, DeviceUnavailable."""
    if is_card(name):
        from service.runtime.cards.cuda import CudaDevice

        return CudaDevice(name, at=at or name)
    if name.startswith(SIMULATED):
        from service.runtime.cards.simulated import SimulatedDevice

        return SimulatedDevice(name, threads=threads)
    at = at or name.partition("#")[0]
    return Device(name, at=at, threads=threads, most_threads=most_threads, most_rows=most_rows)
