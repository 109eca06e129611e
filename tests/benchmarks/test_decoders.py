"""What the program of decoders says of those that do not read a file."""

import math

from benchmarks import decoders


def test_a_decoder_that_does_not_read_a_file_has_no_time() -> None:
    def refuses(_: bytes) -> None:
        raise ValueError

    assert math.isnan(decoders._microseconds([refuses], b"")[0])
    assert decoders._told(math.nan) == "–"
    assert decoders._told(1234.5) == "1,234"
