"""Plain FastAPI: one endpoint as one would write it first, without batches.

python -m uvicorn --factory benchmarks.peers.with_fastapi:create_app
"""

from fastapi import FastAPI, Request

from benchmarks.peers.classifier import Answer, Classifier


def create_app() -> FastAPI:
    """An application with one endpoint."""
    classifier, app = Classifier(), FastAPI()

    @app.post("/classify")
    async def classify(request: Request) -> Answer:
        [answer] = classifier.classify([classifier.decode(await request.body())])
        return answer

    return app
