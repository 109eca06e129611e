"""gRPC's own question whether a service serves (grpc.health.v1), as probes of Kubernetes and proxies ask it."""

from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from service.api.gate import Application
from service.rpc.asking import Asked, ask
from service.rpc.messages import SERVICE

KNOWN = ("", SERVICE)
"""The names under which the service can be asked for: the empty one is all of it."""
OK = 200


class Health(health_pb2_grpc.HealthServicer):  # type: ignore[misc] # where its package is missing, or has no types
    """Answers with the readiness of an application in this process; `Watch` is not served."""

    def __init__(self, app: Application) -> None:
        self._app = app

    async def Check(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
        """SERVING or NOT_SERVING, as `/health/ready` says; NOT_FOUND for a name that nothing here has."""
        if request.service not in KNOWN:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"There is no service {request.service!r} here.")
        reply = await ask(self._app, Asked("GET", "/health/ready"), context.peer())
        kind = health_pb2.HealthCheckResponse
        return kind(status=kind.SERVING if reply.status == OK else kind.NOT_SERVING)
