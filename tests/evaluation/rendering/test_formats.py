import pytest
from evaluation.reporting import BROKEN, HELD, figures, report

from service.evaluation.rendering.formats import FORMATS, JSON
from service.evaluation.report.schema import Report


@pytest.mark.parametrize("media_type", FORMATS)
def test_every_form_is_the_same_for_the_same_report_and_knows_its_scores(media_type: str) -> None:
    render = FORMATS[media_type]
    judged = report(HELD, BROKEN)
    text = render(judged, figures())
    assert text == render(judged, figures())
    assert "0.0140135" in text


def test_nobody_who_asks_for_nothing_gets_anything_but_json() -> None:
    assert next(iter(FORMATS)) == JSON
    assert Report.model_validate_json(FORMATS[JSON](report(HELD), None)) == report(HELD)
