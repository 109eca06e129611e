import subprocess
import sys

import pytest

FAULTS = """
import resource, threading
from service.processes.memory import keep_memory

keep_memory()

def touch():
    bytearray(48 << 20)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(3):
        bytearray(48 << 20)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)

thread = threading.Thread(target=touch)
thread.start()
thread.join()
"""
PAGES = 3 * (48 << 20) // 4096


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's own setting")
def test_a_thread_that_frees_memory_finds_it_again() -> None:
    faults = int(subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True).stdout)
    assert faults < PAGES / 10
