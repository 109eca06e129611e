"""docs/thresholds.md is what was measured, and what was measured is of what is shipped."""

from pathlib import Path

import numpy as np
import pytest

from experiments.thresholds.__main__ import DOCUMENT, MEASUREMENTS
from experiments.thresholds.document import render
from experiments.thresholds.floors import SIZES, direct_floors
from experiments.thresholds.fresh import compare_sets
from experiments.thresholds.record import ANY, FreshScores, FreshSets, Record, read_record, write_record
from service.evaluation.references import References
from service.evaluation.report.baseline import ERRORS
from service.evaluation.store_reference import floors_of
from service.metrics.metric import Side
from service.settings import Settings

RECORD = read_record(MEASUREMENTS)
REFERENCES = References(Settings().shipped_models_dir / "references")


def fresh(**scores: FreshScores) -> FreshSets:
    sets = len(next(iter(scores.values())).values)
    return FreshSets(model="doodle", version="0" * 12, reference="real", sets=sets, samples=100, scores=scores)


def test_the_page_is_what_its_measurements_say() -> None:
    assert render(RECORD) == DOCUMENT.read_text("utf-8"), "`python -m experiments.thresholds --render` puts it right"


def test_every_shipped_reference_stands_there_with_the_floor_that_reports_name() -> None:
    assert [found.reference for found in RECORD.floors] == REFERENCES.names()
    for found in RECORD.floors:
        said = REFERENCES.describe(found.reference)
        assert (found.sha256, found.weights_sha256) == (said.sha256, said.weights_sha256)
        assert tuple(one.count for one in found.fid) == SIZES
        for one in found.fid:
            assert one.by_law == pytest.approx(said.floors["fid"].at(one.count).value, rel=1e-4)


def test_a_floor_is_within_the_scatter_of_what_real_images_score() -> None:
    for found in RECORD.floors:
        for one in found.fid:
            assert abs(one.by_law - one.mean) < 3 * one.spread_by_law, (found.reference, one.count)


def test_a_generator_is_seldom_called_worse_than_itself() -> None:
    assert RECORD.fresh is not None
    assert RECORD.fresh.sets >= 200
    found = RECORD.fresh.worse[ANY]
    assert found.share - found.error <= ERRORS
    assert set(RECORD.fresh.worse) == {ANY, *RECORD.fresh.scores}


def test_what_the_page_says_of_sets_is_what_a_baseline_says_of_their_reports() -> None:
    # of two metrics each may err in 2.5 % of cases: 2.24 standard errors of a difference
    fid = FreshScores(values=(1.0, 1.3, 2.0), errors=(0.1, 0.1, None))
    one_nn = FreshScores(values=(0.8, 0.8, 0.8), errors=(0.01, 0.01, 0.01), ideal=0.5)
    found = compare_sets(fresh(fid=fid, one_nn=one_nn))
    assert found.worse["fid"].share == pytest.approx(2 / 6, rel=1e-6)  # only the third set is worse, than either
    assert found.worse["one_nn"].share == 0
    assert found.worse[ANY] == found.worse["fid"]
    # without one of the sets 1, 1 and 0 of two comparisons are red
    assert found.worse["fid"].error == pytest.approx(np.sqrt(2 / 3 * np.square([1 / 6, 1 / 6, -1 / 3]).sum()), rel=1e-6)


def test_what_nothing_tells_is_counted_as_undecided() -> None:
    found = compare_sets(fresh(fid=FreshScores(values=(1.0, 1.1, 1.2), errors=(None, None, None))))
    assert found.worse[ANY].undecided == found.worse[ANY].share == 0.5


def test_real_samples_score_about_their_floor() -> None:
    draw = np.random.default_rng(0)
    real, others, shown = (draw.normal(size=(4000, 6)).astype(np.float32) for _ in range(3))
    law = floors_of(Side(real), others, "others")
    floors = list(direct_floors(shown, Side(real, floors=law)))
    assert [(one.count, one.sets) for one in floors] == [(1000, 4), (2000, 2)]
    for one in floors:
        assert one.mean == pytest.approx(one.by_law, abs=4 * one.spread_by_law)


def test_what_was_measured_is_read_again_and_a_page_without_anything_stands(tmp_path: Path) -> None:
    write_record(tmp_path / "record.json", RECORD)
    assert read_record(tmp_path / "record.json") == RECORD
    assert read_record(tmp_path / "nothing.json") == Record()
    assert "Floors of the stored references" in render(Record())
