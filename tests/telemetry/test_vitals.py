import itertools
import os

from service.telemetry.instruments import Instruments
from service.telemetry.vitals import LATEST_S, LITTLE_S, Vitals, cpu_seconds, open_descriptors, resident_bytes

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
    vitals = Vitals(instruments.conditions, "front", clock=itertools.count(0.0, LATEST_S).__next__)
    vitals.note()
    vitals.note()
    counted = instruments.registry.get_sample_value("chapterhouse_process_cpu_seconds_total", {"role": "front"})
    assert counted is not None
    assert counted <= cpu_seconds(os.getpid())


def test_a_process_that_is_gone_has_nothing() -> None:
    assert (resident_bytes(NOBODY), open_descriptors(NOBODY), cpu_seconds(NOBODY)) == (0, 0, 0.0)


def test_a_process_that_does_next_to_nothing_is_not_looked_at_each_time() -> None:
    times = [(0.0, 1.0), (2.0, 1.0), (4.0, 1.0 + 2 * LITTLE_S), (6.0, 1.0 + 2 * LITTLE_S), (4.0 + LATEST_S, 1.05)]
    now, used = (iter(column) for column in zip(*times, strict=True))
    instruments = Instruments()
    descriptors = instruments.conditions.process_open_descriptors.labels("front")
    vitals, looked = Vitals(instruments.conditions, "front", clock=now.__next__, used=used.__next__), []
    for _ in times:
        descriptors.set(-1)
        vitals.note()
        looked.append(instruments.registry.get_sample_value(descriptors._name, {"role": "front"}) != -1)
    assert looked == [True, False, True, False, True]
