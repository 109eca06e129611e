import os

from service.telemetry.instruments import Instruments
from service.telemetry.vitals import Vitals, cpu_seconds, open_descriptors, resident_bytes

NOBODY = 2**22 + 1
"""More than any process's number."""


def test_a_process_notes_its_own_figures_and_those_of_its_helpers() -> None:
    instruments = Instruments()
    Vitals(instruments.conditions, "front", helpers=lambda: [os.getppid(), NOBODY]).note()
    for role in ("front", "reader"):
        sample = instruments.registry.get_sample_value
        labels = {"role": role}
        assert (sample("chapterhouse_process_resident_memory_bytes", labels) or 0) > 1 << 20
        assert (sample("chapterhouse_process_open_descriptors", labels) or 0) > 0
    assert (sample("chapterhouse_process_cpu_seconds_total", {"role": "front"}) or 0) > 0


def test_processor_time_is_counted_once() -> None:
    instruments = Instruments()
    vitals = Vitals(instruments.conditions, "front")
    vitals.note()
    vitals.note()
    counted = instruments.registry.get_sample_value("chapterhouse_process_cpu_seconds_total", {"role": "front"})
    assert counted is not None
    assert counted <= cpu_seconds(os.getpid())


def test_a_process_that_is_gone_has_nothing() -> None:
    assert (resident_bytes(NOBODY), open_descriptors(NOBODY), cpu_seconds(NOBODY)) == (0, 0, 0.0)
