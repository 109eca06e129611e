import pytest
from prometheus_client.parser import text_string_to_metric_families

from service.telemetry.instruments import Instruments
from service.telemetry.readings import FAMILIES, Readings


def test_what_is_read_stands_beside_what_is_counted() -> None:
    instruments, readings = Instruments(), Readings()
    instruments.event_streams.set(3)
    readings.add("chapterhouse_disk_used_bytes", 5, "uploads")
    readings.add("chapterhouse_disk_used_bytes", 7, "reports")
    families = list(text_string_to_metric_families(instruments.exposition(None, beside=readings).decode()))
    values = {(s.name, *s.labels.values()): s.value for family in families for s in family.samples}
    assert values["chapterhouse_event_streams",] == 3
    assert values["chapterhouse_disk_used_bytes", "uploads"] == 5
    assert values["chapterhouse_disk_used_bytes", "reports"] == 7


def test_some_samples_only_may_be_asked_for() -> None:
    readings = Readings()
    readings.add("chapterhouse_ready", 1)
    readings.add("chapterhouse_disk_free_bytes", 1)
    text = Instruments().exposition(None, ["chapterhouse_ready"], readings).decode()
    assert "chapterhouse_ready 1.0" in text
    assert "chapterhouse_disk_free_bytes 1" not in text


@pytest.mark.parametrize("name", FAMILIES)
def test_a_value_has_as_many_labels_as_its_family(name: str) -> None:
    with pytest.raises(AssertionError):
        Readings().add(name, 1, *FAMILIES[name].labels, "one too many")
