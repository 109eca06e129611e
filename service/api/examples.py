"""Examples for the OpenAPI document: of schemas that are sent or answered, of texts and of forms."""

from typing import Any

_VERSIONS = {"lenet5-mnist": "1bc6589b348a", "gan-ring": "cb200cd03554", "esn-mackey-glass": "34cb0352c7cc"}
_WEIGHTS_SHA256 = "1bc6589b348a4748c5164a6cff0dfae397598b0ffbb738fcefc5299452fd6978"
_EVALUATION = "874ee9faa285da0a"
_MODES = [[1.0, 0.0], [-1.0, 0.0]]

_CLASSIFIER: dict[str, Any] = {
    "id": "lenet5-mnist",
    "task": "classify",
    "version": _VERSIONS["lenet5-mnist"],
    "versions": [_VERSIONS["lenet5-mnist"]],
    "aliases": {},
    "chapter": 4,
    "paper": "LeCun, Bottou, Bengio, Haffner, 'Gradient-based learning applied to document recognition', 1998",
    "summary": "LeNet-5 as published, on handwritten digits.",
    "dataset": "mnist",
    "input": {"size": [28, 28], "channels": 1, "resample": "pillow-bilinear", "pad": 2},
    "output": None,
    "points": None,
    "generators": None,
    "series": None,
    "labels": ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"],
    "parameters": 60000,
    "macs": 326520,
    "scores": {"accuracy": {"value": 0.9936, "on": "mnist test", "how": "9,936 of 10,000 images"}},
    "loaded": True,
}
_STATE: dict[str, Any] = {
    "id": _EVALUATION,
    "kind": "evaluation",
    "status": "running",
    "progress": 0.4,
    "created": "2026-11-28T18:18:54.122+00:00",
    "ended": None,
    "problem": None,
}
_REFERENCE: dict[str, Any] = {
    "name": "mnist-test",
    "dataset": "mnist test",
    "extractor": "lenet5-mnist",
    "weights_sha256": _WEIGHTS_SHA256,
    "count": 10000,
    "dim": 84,
    "sha256": "e703134dc088f65225ebc8c3d16437848cf692fe99d70f3aaeb3203308f3e351",
    "shipped": True,
    "digests": True,
    "floors": ["fid"],
}
_KID: dict[str, Any] = {
    "value": 0.00197,
    "interval": [-0.0207, 0.0514],
    "interval_reason": None,
    "level": 0.95,
    "estimand": "the value between the two populations",
    "standard_error": 0.0116,
    "generated_error": 0.0109,
    "noise_floor": {
        "value": 0.00234,
        "sizes": [1000, 1000],
        "how": "between two disjoint random halves of the reference",
    },
    "noise_floor_reason": None,
}
_STRONG: dict[str, Any] = {
    "image": 4497,
    "label": "8",
    "strength": 8.17,
    "place": [5, 4],
    "box": {"top": 3, "left": 2, "height": 1, "width": 2},
    "patch": [[[0], [254]]],
    "projection": [[[-0.21], [1.3]]],
}

_COUNTED: dict[str, int] = {"count": 64, "ns": 1250000}

SCHEMAS: dict[str, Any] = {
    "Alias": {"version": "second", "share": 0.1},
    "ChangeRequest": {"parameters": {"unload_dependents": False}},
    "IndexRequest": {"ready": True},
    "InferBody": {
        "id": "42",
        "inputs": [
            {"name": "seed", "shape": [1], "datatype": "INT64", "data": [7]},
            {"name": "count", "shape": [1], "datatype": "INT64", "data": [2]},
        ],
        "outputs": [{"name": "points", "parameters": {"binary_data": False}}],
    },
    "InferReply": {
        "model_name": "gan-ring",
        "model_version": _VERSIONS["gan-ring"],
        "id": "42",
        "outputs": [{"name": "points", "datatype": "FP32", "shape": [2, 2], "data": [0.998, 0.011, -0.703, 0.712]}],
    },
    "ModelConfiguration": {
        "name": "gan-ring",
        "platform": "pytorch_safetensors",
        "backend": "pytorch",
        "max_batch_size": 0,
        "input": [{"name": "seed", "data_type": "TYPE_INT64", "dims": [1], "optional": True}],
        "output": [{"name": "points", "data_type": "TYPE_FP32", "dims": [-1, 2]}],
    },
    "ModelIndex": [{"name": "gan-ring", "version": _VERSIONS["gan-ring"], "state": "READY", "reason": ""}],
    "ModelMetadata": {
        "name": "gan-ring",
        "versions": [_VERSIONS["gan-ring"]],
        "platform": "pytorch_safetensors",
        "inputs": [{"name": "seed", "datatype": "INT64", "shape": [1]}],
        "outputs": [{"name": "points", "datatype": "FP32", "shape": [-1, 2]}],
    },
    "ModelReady": {"name": "gan-ring", "ready": True},
    "ServerLive": {"live": True},
    "ServerMetadata": {"name": "chapterhouse", "version": "0.1.0", "extensions": ["binary_tensor_data"]},
    "ServerReady": {"ready": True},
    "Statistics": {
        "model_stats": [
            {
                "name": "gan-ring",
                "version": _VERSIONS["gan-ring"],
                "last_inference": 0,
                "inference_count": 64,
                "execution_count": 1,
                "inference_stats": {"success": _COUNTED, "queue": _COUNTED, "compute_infer": _COUNTED},
                "batch_stats": [],
                "memory_usage": [],
            }
        ]
    },
    "Classification": {
        "model": "lenet5-mnist",
        "version": _VERSIONS["lenet5-mnist"],
        "calibrated": True,
        "strangeness_limit": 5.58,
        "predictions": [
            {
                "name": "seven.png",
                "labels": [{"label": "7", "index": 7, "probability": 0.998}],
                "strangeness": 1.85,
                "notes": [],
            },
            {
                "name": "broken.png",
                "error": {
                    "type": "about:blank",
                    "title": "The image cannot be read",
                    "status": 422,
                    "detail": "The PNG is damaged.",
                },
            },
        ],
    },
    "EvaluationList": {"evaluations": [_STATE]},
    "EvaluationState": _STATE,
    "Explanation": {
        "model": "lenet5-mnist",
        "version": _VERSIONS["lenet5-mnist"],
        "method": "occlusion",
        "layer": None,
        "layers": [],
        "scale": {
            "quantity": "log-odds of 7",
            "low": 0.08,
            "high": 4.6,
            "each": False,
            "colours": ["#000000", "#ff0000", "#ffff00", "#ffffff"],
        },
        "notes": [],
        "log_odds": [[4.6, 3.48], [0.08, 1.99]],
        "probabilities": [[0.99, 0.97], [0.52, 0.88]],
        "label": 7,
        "label_name": "7",
        "log_odds_whole": 6.21,
        "probability": 0.998,
        "square": 9,
    },
    "ForecastReply": {
        "model": "esn-mackey-glass",
        "version": _VERSIONS["esn-mackey-glass"],
        "fit": True,
        "forecast": [50.5, 50.7],
        "interval": {"level": 0.95, "low": [47.9, 48.0], "high": [53.1, 53.4]},
        "choice": {"difference": "seasonal", "logarithm": False, "season": 24, "penalty": 0.1},
        "held_out": {"model": [1.2], "last_value": [4.9], "drift": [5.0], "seasonal_naive": [1.9]},
        "warnings": [],
    },
    "ForecastRequest": {"model": "esn-mackey-glass", "history": [35.6, 35.7, 36.1, 36.4], "horizon": 2, "fit": True},
    "GenerateRequest": {"model": "gan-mnist", "count": 64, "seed": 1, "format": "png"},
    "Liveness": {"status": "live"},
    "ModelDetail": {
        **_CLASSIFIER,
        "net": "lenet5",
        "card": {"sha256": _WEIGHTS_SHA256, "size_bytes": 244312, "seed": 0, "hardware": "AMD EPYC, 1 thread"},
    },
    "ModelList": {
        "models": [_CLASSIFIER],
        "broken": [{"id": "lenet5-mine", "reason": "lenet5-mine/model.toml: input.size: Field required"}],
    },
    "PointsReply": {
        "model": "gan-ring",
        "version": _VERSIONS["gan-ring"],
        "seed": 1,
        "modes": _MODES,
        "deviation": 0.01,
        "points": [[-0.9955, 0.0006], [0.9972, 0.0011]],
    },
    "Readiness": {"status": "ready", "models": ["gan-mnist", "lenet5-mnist"]},
    "RecordingReply": {
        "model": "gan-ring",
        "version": _VERSIONS["gan-ring"],
        "modes": _MODES,
        "deviation": 0.01,
        "steps": [1, 25000],
        "samples": [[[0.0522, -0.0105], [-0.0539, None]], [[0.9981, 0.0004], [-1.0012, 0.0031]]],
    },
    "ReferenceList": {"references": [_REFERENCE]},
    "ReferenceSummary": _REFERENCE,
    "Report": {
        "id": _EVALUATION,
        "status": "finished",
        "seed": 0,
        "generated": {
            "count": 200,
            "sha256": "0ae470b9ff6345015d3e29b24e4a7f22f0563372ced2faef34479ac82e2cf30a",
        },
        "reference": {
            "name": _REFERENCE["name"],
            "dataset": _REFERENCE["dataset"],
            "count": _REFERENCE["count"],
            "kept": 2000,
            "sha256": _REFERENCE["sha256"],
        },
        "features": {"extractor": "lenet5-mnist", "weights_sha256": _WEIGHTS_SHA256, "dim": 84},
        "metrics": {"kid": _KID},
        "options": {"kid": {"subsets": None, "subset_size": 1000, "subset_seed": 2020}},
        "warnings": [],
        "verdict": {"passed": True, "checks": [{"threshold": "kid<=0.05", "value": 0.00197, "passed": True}]},
        "timing": {"measure": 2.31, "total": 2.5},
        "versions": {"chapterhouse": "0.1.0", "numpy": "2.4.6"},
    },
    "UnitsReply": {
        "model": "lenet5-mnist",
        "version": _VERSIONS["lenet5-mnist"],
        "method": "deconvnet",
        "dataset": "mnist test",
        "images": 10000,
        "layer": "C3",
        "layers": [{"name": "C3", "units": 16, "size": [10, 10], "field": [14, 14]}],
        "field": [14, 14],
        "scale": {
            "quantity": "activation at the pixels",
            "low": -1.3,
            "high": 1.3,
            "each": True,
            "colours": ["#000000", "#ffffff"],
        },
        "units": [{"unit": 0, "strongest": [_STRONG]}],
    },
}
"""An example of each schema."""

TEXTS = {
    "application/junit+xml": '<testsuites name="chapterhouse" tests="1" failures="0" errors="0">…</testsuites>',
    "application/xml": '<testsuites name="chapterhouse" tests="1" failures="0" errors="0">…</testsuites>',
    "image/svg+xml": '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 300">…</svg>',
    "text/event-stream": 'id: running-1-0.4000\nevent: progress\ndata: {"id": "874ee9faa285da0a", …}\n\n',
    "text/html": "<!doctype html><title>Passed: the check holds</title>…",
    "text/markdown": "### ✅ Passed: the check holds\n\n200 generated samples against 10,000 of mnist-test, …",
    "text/plain": 'chapterhouse_requests_total{code="200",endpoint="/classify"} 1.0\n',
}
"""An example of each media type that is text and not JSON."""

FORMS: dict[str, dict[str, Any]] = {
    "classify": {"image": ["(the bytes of seven.png)", "(the bytes of broken.png)"]},
    "explain": {"image": "(the bytes of seven.png)"},
    "evaluate": {
        "generated": "(the bytes of samples.npz)",
        "reference_name": "mnist-test",
        "metrics": "fid,kid",
        "thresholds": "fid<=30",
    },
    "store_reference": {"reference": "(the bytes of real.zip)", "features": "lenet5-mnist", "dataset": "our own"},
}
"""An example of the form that an operation reads."""
