"""The engines of a machine with cards, as the supervisor starts them."""

from pathlib import Path

import pytest
from processes.supervising import supervised
from waiting import eventually

from service.errors import ConfigurationError
from service.processes.lifeline import EXIT_UNAVAILABLE


async def test_a_card_has_as_many_engines_as_it_is_named_and_the_processor_one_for_forecasts(
    tmp_path: Path, models_dir: Path, sockets: Path
) -> None:
    async with supervised(tmp_path, models_dir, sockets, devices="cuda:0,cuda:0") as service:
        await eventually(lambda: all(map(service.has_beaten, ("cuda:0", "cuda:0#2", "cpu"))))
        for device in ("cuda:0", "cuda:0#2", "cpu"):
            await eventually(lambda device=device: service.sample("device_up", device=device) == 1)  # type: ignore[misc]
        assert service.sample("processes_up", role="engine") == 3


async def test_without_any_card_of_those_that_are_named_the_service_ends_although_forecasts_could_go_on(
    tmp_path: Path, models_dir: Path, sockets: Path
) -> None:
    async with supervised(tmp_path, models_dir, sockets, devices="cuda:0,cuda:1") as service:
        for device in ("cuda:0", "cuda:1"):
            service.wish(device, str(EXIT_UNAVAILABLE))
        with pytest.raises(ConfigurationError, match="The engine cannot start"):
            await service.running
