import re
from base64 import b64decode

import numpy as np
import pytest
from evaluation.packing import digits

from service.evaluation.rendering.pictures import picture
from service.imaging import decode


@pytest.mark.parametrize("channels", [1, 3])
def test_a_picture_is_its_pixels(channels: int) -> None:
    [image] = digits(1, channels=channels)
    found = re.fullmatch(r'<img src="data:image/png;base64,([^"]+)" alt="a &lt;b&gt;">', picture(image, "a <b>"))
    assert found is not None
    assert np.array_equal(decode(b64decode(found[1]), limit_pixels=1000), image)
