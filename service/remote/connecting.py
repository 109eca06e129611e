"""Ray's own part: which of its errors say that a replica is gone, and where the handles of a running cluster are."""

import ray
from ray import serve
from ray.exceptions import NodeDiedError, ObjectLostError, RayActorError, WorkerCrashedError
from ray.serve.exceptions import BackPressureError, ReplicaUnavailableError

from service.errors import ConfigurationError
from service.remote.clients import RemoteEngines
from service.remote.hub import Handle

APPLICATION = "chapterhouse"
HUB, ENGINE = "hub", "engine"
"""The deployments that whoever wants work done has to know."""
GONE = (RayActorError, WorkerCrashedError, NodeDiedError, ObjectLostError, ReplicaUnavailableError)
FULL = (BackPressureError,)


def engines_over(engines: Handle, hub: Handle, name: str) -> RemoteEngines:
    """The engines behind these handles."""
    return RemoteEngines(engines, hub, name, gone=GONE, full=FULL)


def engines_of_cluster(name: str) -> RemoteEngines:
    """The engines of the application that runs on the cluster of `RAY_ADDRESS`, or of this machine.

    Raises ConfigurationError where there is none.
    """
    try:
        ray.init(address="auto", log_to_driver=False, configure_logging=False)
        engines, hub = (serve.get_deployment_handle(which, APPLICATION) for which in (ENGINE, HUB))
    except (ConnectionError, serve.exceptions.RayServeException) as error:
        raise ConfigurationError(f"CHAPTERHOUSE_DEVICES: there is no cluster of Ray here: {error}") from error
    return engines_over(engines, hub, name)
