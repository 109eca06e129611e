from collections import Counter
from pathlib import Path

import numpy as np
from evaluation.packing import digits, pngs, zipped

from service.evaluation.samples.album import Album, shape_words
from service.evaluation.samples.archives import open_samples
from service.evaluation.samples.limits import Limits
from service.evaluation.samples.spool import ImageShape

MIXED = [digits(1, seed=size, size=size)[0] for size in (2, 5, 3, 5)]


def test_images_of_several_sizes_come_back_as_they_are_in_the_order_of_their_hashes(tmp_path: Path) -> None:
    sets = []
    for place, images in enumerate((MIXED, MIXED[::-1])):
        working_dir = tmp_path / f"work{place}"
        working_dir.mkdir()
        upload = zipped(
            tmp_path / f"{place}.zip", [(f"{n}.png", pngs(image[None])[0][1]) for n, image in enumerate(images)]
        )
        samples = open_samples(
            upload, working_dir=working_dir, shape=ImageShape(None, 1), limits=Limits(1 << 20, 1 << 10)
        )
        sets.append(samples)
    for samples in sets:
        assert isinstance(samples.images, Album)
        assert len(samples.images) == samples.count == 4
        found = [np.asarray(samples.images[row]) for row in range(4)]
        assert sorted(image.tobytes() for image in found) == sorted(image.tobytes() for image in MIXED)
        assert [image.tobytes() for image in found] == [
            np.asarray(sets[0].images[row]).tobytes()  # type: ignore[index] # an album
            for row in range(4)
        ]
    assert sets[0].sha256 == sets[1].sha256


def test_the_commonest_shapes_are_named() -> None:
    assert shape_words(Counter([(2, 2, 1), (5, 5, 1), (5, 5, 1)])) == "5×5×1, 2×2×1"
