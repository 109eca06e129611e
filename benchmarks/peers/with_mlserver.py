"""MLServer: the Open Inference Protocol, so the image file travels as base64 in JSON.

mlserver start FOLDER
"""

import base64

from mlserver import MLModel
from mlserver.types import InferenceRequest, InferenceResponse, ResponseOutput

from benchmarks.peers.classifier import Classifier


class Served(MLModel):
    """One model."""

    async def load(self) -> bool:
        """Load."""
        self._classifier = Classifier()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """A batch."""
        bodies = [base64.b64decode(text) for text in payload.inputs[0].data]
        answers = self._classifier.classify([self._classifier.decode(body) for body in bodies])
        labels = [str(answer["label"]) for answer in answers]
        label = ResponseOutput(name="label", shape=[len(labels), 1], datatype="BYTES", data=labels)
        return InferenceResponse(model_name=self.name, outputs=[label])
