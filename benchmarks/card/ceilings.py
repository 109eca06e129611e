"""What a card can do at most: copies each way, and products of matrices in each precision."""

import torch

from benchmarks.card.place import Place, seconds_of
from service.nets.arithmetic import multiplying

MEBIBYTES, SIDE = 256, 8192
SHORT_MEBIBYTES, SHORT_SIDE = 4, 128


def run(place: Place) -> None:
    """Measure them."""
    size = (SHORT_MEBIBYTES if place.rehearsal else MEBIBYTES) << 20
    pageable = torch.empty(size, dtype=torch.uint8)
    pinned = pageable if place.rehearsal else pageable.pin_memory()
    there = torch.empty_like(pageable, device=place.at)
    other = torch.empty_like(there)
    copies = {
        "pageable to the card": (there, pageable),
        "pinned to the card": (there, pinned),
        "pinned from the card": (pinned, there),
        "on the card": (other, there),
    }
    for what, (target, source) in copies.items():
        took_s = seconds_of(place, lambda target=target, source=source: target.copy_(source, non_blocking=True))
        place.write(what=f"copy {what}", gigabytes_per_s=round(size / took_s / 1e9, 2))
    side = SHORT_SIDE if place.rehearsal else SIDE
    for what, dtype, tf32 in (
        ("float32", torch.float32, False),
        ("tf32", torch.float32, True),
        ("bfloat16", torch.bfloat16, False),
    ):
        a, b = (torch.randn(side, side, device=place.at).to(dtype) for _ in range(2))
        with multiplying(tf32=tf32):
            took_s = seconds_of(place, lambda a=a, b=b: a @ b)
        place.write(what=f"product in {what}", teraflops=round(2 * side**3 / took_s / 1e12, 3))
