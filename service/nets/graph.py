"""Any ONNX file as a net: run by onnxruntime, on the CPU or by its CUDA provider where that is installed."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from service.environment import silence_onnxruntime
from service.errors import PackageMissing, UntrustedWeights
from service.nets.foreign import Foreign, Port
from service.nets.onnx_checks import count_weights, read_graph

NEEDED = "An ONNX file needs onnxruntime: pip install 'chapterhouse[onnx]'."
CUDA = "CUDAExecutionProvider"
KINDS = {
    "tensor(double)": torch.float64,
    "tensor(float)": torch.float32,
    "tensor(float16)": torch.float16,
    "tensor(int32)": torch.int32,
    "tensor(int64)": torch.int64,
    "tensor(int8)": torch.int8,
    "tensor(uint8)": torch.uint8,
}


class Graph(Foreign):
    """What an ONNX file makes of its input, its outputs as the options of `Meaning` name them.

    Raises UntrustedWeights for a file that is none, or that reaches beyond itself; PackageMissing without onnxruntime;
    InvalidManifest where file and options do not fit.
    """

    def __init__(self, file: Path, **options: Any) -> None:
        data = read_graph(file)
        cpu = _open(file, data, ["CPUExecutionProvider"])
        super().__init__(file, _ports(cpu.get_inputs()), _ports(cpu.get_outputs()), options)
        self.numbers = count_weights(data)
        self._file, self._cpu, self._cuda = file, cpu, None
        self._for_cuda = data if CUDA in _onnxruntime().get_available_providers() else b""

    def answer(self, x: Tensor, wanted: Sequence[str]) -> list[Tensor]:
        """These outputs; arrays go through the processor's memory, wherever the graph is computed."""
        session = self._session_for(x.device)
        outputs = session.run(list(wanted), {self.given.name: x.cpu().numpy()})
        return [torch.from_numpy(output).to(x.device) for output in outputs]

    def _session_for(self, device: torch.device) -> Any:
        """The processor's, or on a card one of onnxruntime's CUDA provider where it has one."""
        if device.type != "cuda" or not self._for_cuda:
            return self._cpu
        if self._cuda is None:
            on_card = (CUDA, {"device_id": device.index or 0, "use_tf32": 0})
            self._cuda = _open(self._file, self._for_cuda, [on_card, "CPUExecutionProvider"])
        return self._cuda


def _ports(told: Any) -> list[Port]:
    return [
        Port(
            port.name,
            KINDS.get(port.type),
            tuple(size if isinstance(size, int) else None for size in port.shape),
            port.type,
        )
        for port in told
    ]


def _onnxruntime() -> Any:
    """The package. Raises PackageMissing."""
    silence_onnxruntime()
    try:
        import onnxruntime
    except ImportError as error:
        raise PackageMissing(NEEDED) from error
    return onnxruntime


def _open(file: Path, data: bytes, providers: Sequence[object]) -> Any:
    """An onnxruntime session. Raises PackageMissing, and UntrustedWeights for what is no graph."""
    onnxruntime = _onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.use_deterministic_compute = True
    options.log_severity_level = 3  # its warnings are about graphs, which nobody here can change
    try:
        return onnxruntime.InferenceSession(data, options, providers=list(providers))
    except Exception as error:
        raise UntrustedWeights(f"{file} is not an ONNX file that onnxruntime runs: {error}") from error
