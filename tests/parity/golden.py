"""Reading the golden arrays."""

import json
from pathlib import Path
from typing import Dict, Tuple

import torch
from safetensors import safe_open
from safetensors.torch import load_file


def load_run(path: Path) -> Tuple[Dict[str, torch.Tensor], Dict]:
    """Arrays and settings of one file; settings that are JSON are decoded."""
    with safe_open(path, 'np') as file:
        meta = dict(file.metadata() or {})
    settings = {}
    for key, value in meta.items():
        try:
            settings[key] = json.loads(value)
        except ValueError:
            settings[key] = value
    return load_file(path), settings


def relative_error(actual: torch.Tensor, expected: torch.Tensor) -> float:
    """Largest difference, relative to the largest expected entry."""
    actual, expected = actual.detach(), expected.to(actual.dtype)
    return float((actual - expected).abs().max() / expected.abs().max().clamp(min=1e-12))
