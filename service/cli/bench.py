"""`chapterhouse bench`: requests per second and latency of a running service."""

import mimetypes
from pathlib import Path
from typing import Annotated
from urllib.parse import urlencode

import typer

from service.cli.reporting import EXIT_FAILED, complain, fail_clearly, say
from service.settings import Settings, read_settings

SIDE = 28
ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - nothing is bound, only asked


@fail_clearly
def bench(
    server: Annotated[
        str | None,
        typer.Option("--server", metavar="URL", help="A running service; the one on this machine unless given."),
    ] = None,
    image: Annotated[
        Path | None, typer.Option(help="The image that is posted; a drawn 28×28 PNG unless given.")
    ] = None,
    connections: Annotated[int, typer.Option(min=1, help="Requests under way at any time.")] = 64,
    seconds: Annotated[float, typer.Option(min=0.1, help="How long.")] = 5.0,
    model: Annotated[str | None, typer.Option(help="A classifier; the service's default one unless given.")] = None,
) -> None:
    """Post one image to /classify over and over, each connection as soon as it has its answer."""
    from service.cli.load import Load, run_load
    from service.client.sending import Bearer

    settings = read_settings()
    address = (server or address_of(settings)).rstrip("/")
    body = image.read_bytes() if image else drawn_image()
    kind = mimetypes.guess_type(image.name)[0] if image else "image/png"
    query = f"?{urlencode({'model': model})}" if model else ""
    load = Load(
        url=f"{address}/classify{query}",
        body=body,
        content_type=kind or "application/octet-stream",
        token=Bearer(address, None, settings).token(),
        connections=connections,
        seconds=seconds,
    )
    reading = run_load(load)
    say(f"{load.url}  one image of {len(body):,} bytes, {connections} connections, {reading.seconds:.1f} s")
    say(f"requests/s  {reading.requests_per_s:,.0f}")
    say(f"p50         {reading.percentile_ms(0.50):.2f} ms")
    say(f"p99         {reading.percentile_ms(0.99):.2f} ms")
    for name, count in sorted(reading.errors.items()):
        say(f"errors      {count:,} × {name}")
    if not reading.latencies_s:
        complain("no request was answered with a result.")
        raise typer.Exit(EXIT_FAILED)


def address_of(settings: Settings) -> str:
    """Where `chapterhouse serve` listens with these settings."""
    host = ANY_ADDRESS.get(settings.host, settings.host)
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"


def drawn_image() -> bytes:
    """A ring, white on black, as a PNG of 28×28 pixels."""
    import numpy as np

    from service.imaging import encode_png

    down, across = np.indices((SIDE, SIDE)) - (SIDE - 1) / 2
    distance = np.hypot(down, across)
    ring = np.clip(3 - np.abs(distance - SIDE / 4), 0, 1) * 255
    return encode_png(ring.astype(np.uint8)[:, :, None])
