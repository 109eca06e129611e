from typing import get_args

import pytest
from packing.holding import IMAGES as SOME_IMAGES
from packing.holding import POINTS as SOME_POINTS
from packing.holding import contents_of, packed

from service.packing.formats import IMAGES, POINTS, Format
from service.packing.stream import Samples
from service.schemas import SampleFormat

EVERY = [
    pytest.param(form, samples, id=f"{samples.shape[-1]}-{name}")
    for forms, samples in ((IMAGES, SOME_IMAGES), (POINTS, SOME_POINTS))
    for name, form in forms.items()
]


@pytest.mark.parametrize(("form", "samples"), EVERY)
def test_the_bytes_do_not_depend_on_the_blocks(form: Format, samples: Samples) -> None:
    assert len({packed(form, samples, block=block) for block in (1, 4, len(samples))}) == 1


@pytest.mark.parametrize(("form", "samples"), EVERY)
def test_no_sample_waits_for_the_last_where_there_may_be_any_number(form: Format, samples: Samples) -> None:
    stream = form.stream(contents_of(samples))
    assert bool(stream.add(samples[:4])) == (stream.limit is None)
    stream.close()


def test_requests_know_the_words_of_all_formats_and_no_others() -> None:
    assert {*IMAGES, *POINTS} == set(get_args(SampleFormat))


def test_no_two_formats_of_a_kind_share_a_media_type() -> None:
    for forms in (IMAGES, POINTS):
        assert len({form.media_type for form in forms.values()}) == len(forms)
