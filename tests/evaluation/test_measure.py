from concurrent.futures import ThreadPoolExecutor
from threading import get_ident

import numpy as np
import pytest
from waiting import until

from service.errors import InvalidRequest, InvalidSamples
from service.evaluation import measure as module
from service.evaluation.measure import choose_metrics, measure, side_of
from service.evaluation.samples.reading import Samples
from service.evaluation.threads import Stop, Stopped
from service.metrics import kid
from service.metrics.floor import Floor
from service.metrics.metric import Metric, Score, Side
from service.metrics.registry import DEFAULT_METRICS, METRICS
from service.metrics.statistics import Statistics, statistics_of
from service.metrics.uncertainty import LEVEL


def side(n: int, seed: int) -> Side:
    rng = np.random.default_rng(seed)
    return Side(features=rng.standard_normal((n, 6)), probabilities=rng.dirichlet(np.ones(4), n))


def test_every_metric_becomes_an_entry_with_its_floor_and_its_interval() -> None:
    measured = measure(side(50, 2), side(60, 1), choose_metrics(list(METRICS)), seed=1)
    assert list(measured.metrics) == list(METRICS) == list(measured.timing)
    for entry in measured.metrics.values():
        assert entry.interval is not None
        assert entry.interval[0] < entry.value < entry.interval[1]
        assert entry.interval_reason is None
        assert entry.estimand
        assert entry.number("interval.high") == entry.interval[1]
        assert 0 < (entry.generated_error or 0) <= (entry.number("standard_error") or 0)
        assert entry.level == LEVEL
        assert entry.noise_floor is not None
        assert entry.noise_floor_reason is None
    assert measured.metrics["mmd"].model_dump()["kernel"] == "gaussian"
    assert measured.metrics["fid"].number("rank") == 6
    assert measured.metrics["fid"].number("noise_floor") == measured.metrics["fid"].noise_floor.value  # type: ignore[union-attr]


def test_without_intervals_the_values_stay_and_the_reason_is_given() -> None:
    wanted = measure(side(50, 2), side(60, 1), choose_metrics(list(METRICS)))
    bare = measure(side(50, 2), side(60, 1), choose_metrics(list(METRICS)), intervals=False)
    for name, entry in bare.metrics.items():
        assert entry.value == wanted.metrics[name].value
        assert entry.interval is None
        assert entry.interval_reason
        assert entry.number("interval.high") is None
    assert wanted.metrics["one_nn"].number("p_value") is not None
    assert bare.metrics["one_nn"].number("p_value") is None


def test_sides_of_few_samples_have_no_interval_and_the_reason_is_given() -> None:
    for sides in ((side(9, 2), side(60, 1)), (side(60, 2), side(9, 1))):
        measured = measure(*sides, choose_metrics(["fid", "precision", "one_nn"]))
        for entry in measured.metrics.values():
            assert (entry.interval, entry.standard_error) == (None, None)
            assert "fewer than 10 samples" in (entry.interval_reason or "")


def test_a_stored_reference_is_taken_as_fixed_and_the_report_says_so() -> None:
    whole = side(500, 1)
    assert whole.features is not None
    stored = Side(features=whole.features[:40], statistics=statistics_of(whole.features))
    entry = measure(side(100, 2), stored, choose_metrics(["fid"])).metrics["fid"]
    assert entry.estimand is not None
    assert entry.estimand.endswith("the reference is taken as fixed")
    assert entry.standard_error == entry.generated_error


def test_the_same_sides_and_seed_give_the_same_entries() -> None:
    first = measure(side(50, 2), side(60, 1), choose_metrics(), seed=1)
    again = measure(side(50, 2), side(60, 1), choose_metrics(), seed=1)
    other = measure(side(50, 2), side(60, 1), choose_metrics(), seed=2)
    assert first.metrics == again.metrics
    assert first.metrics["fid"].value == other.metrics["fid"].value
    assert first.metrics["fid"].noise_floor != other.metrics["fid"].noise_floor


def test_a_stored_reference_is_measured_by_its_statistics_and_floored_by_its_features() -> None:
    whole, generated = side(500, 1), side(100, 2)
    assert whole.features is not None
    assert generated.features is not None
    stored = Side(features=whole.features[:40], statistics=statistics_of(whole.features))
    entry = measure(generated, stored, choose_metrics(["fid"])).metrics["fid"]
    assert entry.value == measure(generated, whole, choose_metrics(["fid"])).metrics["fid"].value
    assert entry.noise_floor is not None
    assert entry.noise_floor.sizes == (100, 500)
    assert "20 samples each" in entry.noise_floor.how
    assert entry.times_floor == entry.value / entry.noise_floor.value


def test_a_floor_that_cannot_be_read_has_its_reason() -> None:
    tiny = side(3, 1)
    entry = measure(side(50, 2), tiny, choose_metrics(["fid"])).metrics["fid"]
    assert entry.noise_floor is None
    assert entry.noise_floor_reason == (
        "1 samples for 6 dimensions are too few to tell what real ones would score at these sizes"
    )


def test_warnings_of_the_metrics_are_collected() -> None:
    measured = measure(side(5, 2), side(60, 1), choose_metrics(["fid", "mmd"]))
    assert [warning.split(":")[0] for warning in measured.warnings] == ["fid"]


def test_what_a_metric_needs_is_asked_before_anything_is_computed() -> None:
    bare = Side(statistics=Statistics(np.zeros(6), np.eye(6)))
    with pytest.raises(InvalidSamples, match="kid needs the features of every sample; the reference has none"):
        measure(side(50, 2), bare, choose_metrics())
    measured = measure(side(50, 2), bare, choose_metrics(), optional=choose_metrics().keys())
    assert list(measured.metrics) == ["fid"]
    assert "kid is left out: it needs the features of every sample; the reference has none." in measured.warnings


def test_what_nobody_named_and_cannot_be_computed_is_left_out_with_its_reason() -> None:
    copies = Side(features=np.vstack([np.ones((60, 6)), np.random.default_rng(1).standard_normal((20, 6))]))
    with pytest.raises(InvalidSamples, match="median"):
        measure(side(50, 2), copies, choose_metrics())
    measured = measure(side(50, 2), copies, choose_metrics(), optional={"mmd"})
    assert list(measured.metrics) == [name for name in DEFAULT_METRICS if name != "mmd"]
    [words] = [warning for warning in measured.warnings if warning.startswith("mmd is left out: ")]
    assert "median" in words


def test_where_nothing_is_left_the_first_reason_is_the_error() -> None:
    narrow = Side(features=np.zeros((20, 3)))
    with pytest.raises(InvalidSamples, match="they must be equal"):
        measure(side(50, 2), narrow, choose_metrics(), optional=choose_metrics().keys())


class _Infinite(Metric):
    def lacks(self, real: Side, generated: Side) -> str | None:  # noqa: ARG002
        return None

    def measure(self, real: Side, generated: Side, *, intervals: bool = False, seed: int = 0) -> Score:  # noqa: ARG002
        return Score(np.inf, interval="none")

    def noise_floor(self, real: Side, generated: Side, *, seed: int) -> Floor:  # noqa: ARG002
        return Floor(None, (), "none")


def test_a_score_that_is_not_finite_is_an_error() -> None:
    with pytest.raises(InvalidSamples, match="fid has no finite value"):
        measure(side(5, 2), side(5, 1), {"fid": _Infinite()})


def test_metrics_are_chosen_by_name_with_their_options() -> None:
    assert tuple(choose_metrics()) == DEFAULT_METRICS
    chosen = choose_metrics(["mmd", "fid", "mmd"], {"mmd": {"sigma": "3"}})
    assert list(chosen) == ["mmd", "fid"]
    assert chosen["mmd"].model_dump()["sigma"] == 3.0


@pytest.mark.parametrize(
    ("names", "options"),
    [(["fidd"], {}), (["fid"], {"mmd": {"sgima": "3"}}), (["fid"], {"mnd": {"sigma": "3"}})],
)
def test_a_misspelt_name_or_option_is_refused(names: list[str], options: dict[str, dict[str, str]]) -> None:
    with pytest.raises(InvalidRequest):
        choose_metrics(names, options)


def test_logits_become_probabilities_and_images_need_an_extractor() -> None:
    sent = Samples(2, "", features=np.zeros((2, 3)), logits=np.array([[0.0, 0.0], [1e4, 0.0]]))
    probabilities = side_of(sent, "generated").probabilities
    assert probabilities is not None
    np.testing.assert_array_equal(probabilities, [[0.5, 0.5], [1, 0]])
    with pytest.raises(InvalidSamples, match="images"):
        side_of(Samples(1, "", images=np.zeros((1, 2, 2, 1), np.uint8)), "generated")


def test_metrics_side_by_side_are_those_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    together = measure(side(50, 2), side(60, 1), choose_metrics(list(METRICS)), seed=1)
    monkeypatch.setattr(module, "THREADS", 1)
    alone = measure(side(50, 2), side(60, 1), choose_metrics(list(METRICS)), seed=1)
    assert alone.metrics == together.metrics
    assert alone.warnings == together.warnings


class _Key:
    """Remembers the threads that look it up."""

    def __init__(self) -> None:
        self.looked_up_by: set[int] = set()

    def __hash__(self) -> int:
        self.looked_up_by.add(get_ident())
        return id(self)


def test_what_several_metrics_need_is_computed_once_whoever_asks_first() -> None:
    shared, key, asked = side(5, 1), _Key(), []

    def compute() -> int:
        asked.append(1)
        until(lambda: len(key.looked_up_by) == 2)
        return len(asked)

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(lambda _: shared.remember(key, compute), range(2))) == [1, 1]
    assert asked == [1]


def test_measuring_that_was_told_to_stop_does_not_begin() -> None:
    stop = Stop()
    stop.ask()
    with pytest.raises(Stopped):
        measure(side(5, 2), side(6, 1), choose_metrics(["fid"]), stop=stop)


def test_what_takes_long_is_said_before_it_is_begun(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(kid, "MANY", 100)
    measure(side(50, 2), side(60, 1), choose_metrics(["kid", "fid"]), intervals=False)
    [said] = caplog.messages
    assert said.startswith("kid compares 110 samples with one another, about 1 s of one core; kid.subsets=100 takes")
