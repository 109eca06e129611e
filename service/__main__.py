"""`python -m service`: the command line, or one child process of a running service."""

import argparse
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from service.settings import Settings

ROLES = ("front", "engine", "evaluator", "grpc")
CALLED = ("front", "grpc")
"""Those whose event loops callers wait for."""


def main(arguments: list[str]) -> int:
    """Run a role of the service, or the command line; the exit status."""
    if not arguments or arguments[0] not in ROLES:
        from service.cli import app

        app(arguments)
        return 0
    from service.addresses import without_secrets
    from service.environment import take_small_pages
    from service.errors import ConfigurationError, DeviceUnavailable
    from service.processes.lifeline import EXIT_CONFIGURATION, EXIT_UNAVAILABLE, hold_to_parent
    from service.settings import Settings
    from service.telemetry.logs import configure_logging

    options = _parse(arguments)
    if options.role in CALLED:
        take_small_pages()
    hold_to_parent(options.parent_pipe)
    settings = Settings()
    configure_logging(options.role, settings.log_level, settings.log_format)
    try:
        _run(_role(options, settings), plainly=options.role == "grpc")
    except ConfigurationError as error:
        print(f"chapterhouse: {without_secrets(str(error))}", file=sys.stderr)  # noqa: T201 - the operator reads it
        return EXIT_UNAVAILABLE if isinstance(error, DeviceUnavailable) else EXIT_CONFIGURATION
    return 0


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m service")
    parser.add_argument("role", choices=ROLES)
    parser.add_argument("--parent-pipe", type=int, required=True)
    parser.add_argument("--listen-fd", type=int)
    parser.add_argument("--http-port", type=int)
    parser.add_argument("--control", type=Path)
    parser.add_argument("--sockets", type=Path, nargs="+")
    parser.add_argument("--metrics-dir", type=Path)
    parser.add_argument("--device")
    parser.add_argument("--duty", default="all")
    parser.add_argument("--socket", type=Path)
    parser.add_argument("--aside", default="[]")
    return parser.parse_args(arguments)


def _role(options: argparse.Namespace, settings: "Settings") -> Coroutine[Any, Any, None]:
    """The coroutine of a role; each imports only what it needs, so fronts never load torch."""
    names = ("sockets", "control", "metrics_dir", "parent_pipe")
    places = {name: getattr(options, name) for name in names}
    if options.role == "engine":
        return _engine(options, settings)
    if options.role == "front":
        from service.processes.front import run_front

        return run_front(settings, listen_fd=options.listen_fd, **places)
    if options.role == "grpc":
        from service.processes.grpc import run_grpc

        return run_grpc(settings, http_port=options.http_port, **places)
    from service.processes.evaluator import run_evaluator

    return run_evaluator(settings, sockets=options.sockets, control=options.control, parent_pipe=options.parent_pipe)


def _engine(options: argparse.Namespace, settings: "Settings") -> Coroutine[Any, Any, None]:
    """An engine's coroutine; what it sees of the machine's cards is said before anything looks for them."""
    places = {"socket": options.socket, "parent_pipe": options.parent_pipe}
    if options.device == "ray":
        from service.processes.bridge import run_bridge

        return run_bridge(settings, **places)
    from service.environment import put, surroundings
    from service.runtime.cards.naming import environment_of

    put(environment_of(options.device, surroundings()))
    from service.processes.engine import run_engine
    from service.runtime.aside import read
    from service.runtime.duties import Duty

    return run_engine(settings, device=options.device, duty=Duty(options.duty), aside=read(options.aside), **places)


def _run(role: Coroutine[Any, Any, None], *, plainly: bool) -> None:
    """Run a role on uvloop where it is installed; `plainly` on asyncio's own loop, which gRPC is for."""
    import asyncio

    try:
        import uvloop
    except ImportError:
        plainly = True
    if plainly:
        asyncio.run(role)
    else:
        uvloop.run(role)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
