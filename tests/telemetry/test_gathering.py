"""One process is scraped for many that share no directory."""

from prometheus_client.parser import text_string_to_metric_families

from service.telemetry.gathering import GatheredInstruments, families_of
from service.telemetry.instruments import Instruments


def test_every_process_has_series_of_its_own_and_every_family_stands_there_once() -> None:
    engine = Instruments()
    engine.batch_rows.labels("echo").observe(4)
    engine.requests.labels("/classify", "200").inc(3)
    front = GatheredInstruments("front-1")
    front.requests.labels("/classify", "200").inc(5)
    front.told = {"engine-1": families_of(engine)}
    text = front.exposition(None).decode()
    families = list(text_string_to_metric_families(text))
    names = [family.name for family in families]
    assert len(names) == len(set(names))
    found = {
        (sample.name, sample.labels["replica"]): sample.value
        for family in families
        for sample in family.samples
        if sample.name in ("chapterhouse_requests_total", "chapterhouse_batch_rows_count")
    }
    assert found == {
        ("chapterhouse_requests_total", "front-1"): 5,
        ("chapterhouse_requests_total", "engine-1"): 3,
        ("chapterhouse_batch_rows_count", "engine-1"): 1,
    }


def test_some_names_are_enough_where_only_they_are_asked_for() -> None:
    front = GatheredInstruments("front-1")
    front.requests.labels("/classify", "200").inc()
    text = front.exposition(None, ["chapterhouse_requests_total"]).decode()
    assert {line.split("{")[0] for line in text.splitlines() if line[0] != "#"} == {"chapterhouse_requests_total"}
