"""Any ONNX file as a net: run by onnxruntime on the CPU, whatever device the others are on."""

from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from service.environment import silence_onnxruntime
from service.errors import InvalidManifest, PackageMissing, UntrustedWeights

Arrays = list[NDArray[np.float32]]

NEEDED = "An ONNX file needs onnxruntime: pip install 'chapterhouse[onnx]'."


class Graph(nn.Module):
    """Images (n, C, H, W) to what two outputs of a graph say.

    `features` names the output with the features, (n, d) or maps, the first one unless given; `logits` that with the
    logits (n, classes), none unless given. `layout` is where channels stand, in the input and in maps.
    """

    def __init__(
        self, file: Path, *, features: str = "", logits: str = "", layout: Literal["NCHW", "NHWC"] = "NCHW"
    ) -> None:
        super().__init__()
        if layout not in ("NCHW", "NHWC"):
            raise InvalidManifest(f"There is no layout called {layout!r}; there are NCHW and NHWC.")
        self._channels_last = layout == "NHWC"
        self._session = _open(file)
        inputs, outputs = self._session.get_inputs(), [output.name for output in self._session.get_outputs()]
        if len(inputs) != 1 or inputs[0].type != "tensor(float)":
            kinds = ", ".join(f"{given.name} {given.type}" for given in inputs)
            raise InvalidManifest(f"{file} takes {kinds}; one float32 tensor of images is given.")
        self._wanted = [features or outputs[0], *([logits] if logits else [])]
        if missing := set(self._wanted) - set(outputs):
            raise InvalidManifest(f"{file} has no output called {', '.join(sorted(missing))}; there are {outputs}.")
        self._input = inputs[0].name
        rows = inputs[0].shape[0] if inputs[0].shape else None
        self._rows = rows if isinstance(rows, int) else None

    def see(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Features (n, d), or maps (n, K, h, w), and logits (n, classes), (n, 0) where there are none."""
        outputs = [torch.from_numpy(output).to(x.device) for output in self._run(self._given(x))]
        hidden = outputs[0]
        if self._channels_last and hidden.ndim == 4:
            hidden = hidden.permute(0, 3, 1, 2)
        return hidden, outputs[1].flatten(1) if len(outputs) > 1 else x.new_zeros(len(x), 0)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (n, classes)."""
        return self.see(x)[1]

    def _given(self, x: Tensor) -> NDArray[np.float32]:
        given: NDArray[np.float32] = (x.permute(0, 2, 3, 1) if self._channels_last else x).contiguous().cpu().numpy()
        return given

    def _run(self, images: NDArray[np.float32]) -> Arrays:
        """The wanted outputs; in parts of the size that a graph was exported for, the last one padded."""
        rows = self._rows or len(images)
        parts = [self._run_part(images[start : start + rows], rows) for start in range(0, len(images), rows)]
        return [np.concatenate(column) for column in zip(*parts, strict=True)]

    def _run_part(self, images: NDArray[np.float32], rows: int) -> Arrays:
        padded = np.zeros((rows, *images.shape[1:]), np.float32)
        padded[: len(images)] = images
        outputs = self._session.run(self._wanted, {self._input: padded})
        return [np.asarray(output, np.float32)[: len(images)] for output in outputs]


def _open(file: Path) -> Any:
    """An onnxruntime session. Raises PackageMissing, and UntrustedWeights for what is no graph."""
    silence_onnxruntime()
    try:
        import onnxruntime
    except ImportError as error:
        raise PackageMissing(NEEDED) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.use_deterministic_compute = True
    options.log_severity_level = 3  # its warnings are about graphs, which nobody here can change
    try:
        return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise UntrustedWeights(f"{file} is not an ONNX file that onnxruntime runs: {error}") from error
