import os
import threading
from pathlib import Path

import pytest
from waiting import PATIENCE_S

from service.written import of_json, of_toml, read_text, read_whole


def test_a_file_is_read_whole_unless_it_is_larger_than_was_said(tmp_path: Path) -> None:
    path = tmp_path / "words"
    path.write_bytes(b"12345")
    assert read_whole(path, 5) == b"12345"
    with pytest.raises(ValueError, match="it has more than 4 bytes, the most that are read"):
        read_whole(path, 4)
    with path.open("wb") as file:
        file.truncate(1 << 40)  # of which nothing is read
    with pytest.raises(ValueError, match="it has more than 16,777,216 bytes"):
        read_text(path)


def test_what_never_ends_is_read_no_further_and_a_pipe_to_its_end(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="it has more than 100 bytes"):
        read_whole(Path("/dev/zero"), 100)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writing = threading.Thread(target=pipe.write_bytes, args=(b"\xef\xbb\xbfa b",), daemon=True)
    writing.start()
    assert read_text(pipe) == "a b"
    writing.join(PATIENCE_S)


def test_what_is_nested_without_end_is_wrong_like_all_else_that_cannot_be_read() -> None:
    assert of_json('{"a": [1]}') == of_toml("a = [1]") == {"a": [1]}
    for read, text in ((of_json, "["), (of_json, "[" * 100_000), (of_toml, "a ="), (of_toml, "a = " + "[" * 100_000)):
        with pytest.raises(ValueError, match=r"."):
            read(text)
