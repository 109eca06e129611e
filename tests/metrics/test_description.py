import pytest
from pydantic import Field

from service.errors import InvalidRequest
from service.metrics.description import Option, describe
from service.metrics.metric import About, Metric, Score, Side
from service.metrics.registry import METRICS


class Everything(Metric):
    """Whatever an option can be.

    And a second paragraph.
    """

    about = About(
        title="Everything",
        better="higher",
        generated="features",
        reference="features or statistics",
        samples="Some.",
        use="Never.",
        parts={"half": "Half of it."},
    )

    share: float = Field(0.5, gt=0, lt=1, description="A share.")
    most: int | None = Field(None, ge=2, le=4000, description="The most.")
    whole: bool = Field(default=False, description="All.")
    word: str = Field("any", description="A word.")

    def lacks(self, real: Side, generated: Side) -> str | None:  # noqa: ARG002
        return None

    def measure(self, real: Side, generated: Side, *, intervals: bool = False, seed: int = 0) -> Score:  # noqa: ARG002
        return Score(0.0, interval="none")


def test_a_metric_is_described_by_its_class_its_about_and_its_options(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(METRICS, "everything", Everything)
    told = describe("everything")
    assert (told.title, told.measures, told.better) == ("Everything", "Whatever an option can be.", "higher")
    assert told.needs == "features of the generated samples, features or statistics of the reference"
    assert told.parts == {"half": "Half of it."}
    assert not told.is_default
    assert told.options == (
        Option("share", 0.5, "above 0 and below 1", "A share."),
        Option("most", None, "at least 2 and at most 4,000", "The most."),
        Option("whole", default=False, values="true or false", description="All."),
        Option("word", "any", "anything", "A word."),
    )


def test_choices_are_listed() -> None:
    [kernel] = [option for option in describe("mmd").options if option.name == "kernel"]
    assert kernel.values == "gaussian, rational_quadratic or polynomial"


def test_what_looks_at_one_side_only_needs_no_reference() -> None:
    assert describe("inception_score").needs == "probabilities of the generated samples"
    assert describe("fid").needs == "features or statistics of both sides"


def test_an_unknown_metric_is_answered_with_the_known_ones() -> None:
    with pytest.raises(InvalidRequest, match="no metric called 'fidd'; there are fid, "):
        describe("fidd")
