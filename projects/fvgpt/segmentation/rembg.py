"""Segmenter that uses the ``rembg`` library: U2-Net, IS-Net, BiRefNet, SAM and others in ONNX."""

import os
from pathlib import Path
from typing import List, Optional

import numpy as np
from PIL import Image

from ..io.errors import MissingFileError, UserError
from .base import SEGMENTERS, ForegroundSegmenter, import_library

_INSTALL = (
    'pip install -r requirements/segment-rembg.txt installs it (for a GPU, use onnxruntime-gpu '
    'instead of onnxruntime)'
)


@SEGMENTERS.register_module('rembg')
class RembgSegmenter(ForegroundSegmenter):
    """A model of rembg. Models that send images to a web service are refused.

    Args:
        model: name of a model of rembg (``u2net``, ``u2netp``, ``isnet-general-use``,
            ``birefnet-general``, ``sam``, ...), which rembg downloads to its cache; or an ONNX
            file.
        session: for an ONNX file, the name of the rembg model of the same architecture, which
            decides how images are preprocessed and outputs postprocessed.
        device: ``cpu`` or ``cuda``; None for the GPU if onnxruntime supports it, else the CPU.

    Raises:
        MissingPackageError: onnxruntime or rembg is not installed.
        MissingFileError: the ONNX file does not exist.
        UserError: the model is unknown or runs as a web service, or the device cannot be used.
    """

    def __init__(self, model: str = 'u2net', session: str = 'u2net', device: Optional[str] = None):
        runtime = import_library('onnxruntime', _INSTALL)
        sessions = {
            cls.name(): cls
            for cls in import_library('rembg.sessions', _INSTALL).sessions_class
            if getattr(cls, 'is_local', lambda: True)() and not cls.name().endswith('_custom')
        }
        weights = Path(model).expanduser() if model.endswith('.onnx') else None
        if weights and not weights.is_file():
            raise MissingFileError(f'there is no file {weights}')
        name = session if weights else model
        if name not in sessions:
            raise UserError(
                f'rembg has no model {name!r} that runs here; it has {", ".join(sorted(sessions))}'
            )
        has_gpu = 'CUDAExecutionProvider' in runtime.get_available_providers()
        self.device = device or ('cuda' if has_gpu else 'cpu')
        if self.device != 'cpu' and not has_gpu:
            raise UserError(
                f'--device {device}: this onnxruntime has no CUDA; install onnxruntime-gpu'
            )
        session_class = _from_file(sessions[name], weights) if weights else sessions[name]
        options = runtime.SessionOptions()
        options.intra_op_num_threads = int(os.environ.get('OMP_NUM_THREADS', 0))  # 0: all cores
        providers = ['CUDAExecutionProvider'] * (self.device != 'cpu') + ['CPUExecutionProvider']
        self.session = session_class(name, options, providers=providers)

    def segment(self, images: List[np.ndarray]) -> List[np.ndarray]:
        """See :meth:`~fvgpt.segmentation.ForegroundSegmenter.segment`; soft masks."""
        return [self._segment(image) for image in images]  # rembg processes one image at a time

    def _segment(self, image: np.ndarray) -> np.ndarray:
        # rembg divides the output by its range, which is 0 if the output is constant
        with np.errstate(invalid='ignore'):
            # several masks if the model distinguishes several kinds of foreground
            masks = self.session.predict(Image.fromarray(image))
        return np.max([np.asarray(mask.convert('L'), np.float32) / 255 for mask in masks], 0)


def _from_file(session_class: type, weights: Path) -> type:
    """Session class that reads a given file instead of downloading one."""
    return type(
        session_class.__name__,
        (session_class,),
        dict(download_models=classmethod(lambda cls, *args, **kwargs: str(weights))),
    )
