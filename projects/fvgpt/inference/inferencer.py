"""Predictions on any images: mmpretrain's inferencer, with class names given at run time."""

from pathlib import Path
from typing import Callable, Dict, Iterator, List, Optional, Sequence, Union

import matplotlib
import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, default_collate
from mmpretrain.apis import ImageClassificationInferencer
from mmpretrain.structures import DataSample
from PIL import UnidentifiedImageError

from ..datasets.class_folder import IMAGE_SUFFIXES
from ..datasets.image_lists import files_below
from ..io.device import torch_device
from ..io.errors import MissingFileError, UserError
from ..names import Branch, Source
from ..registry import TRANSFORMS
from ..tuners.classifier import CLIPClassifier, tuner_of
from .load import load_model

Image = Union[str, Path, np.ndarray]


class FVGPTInferencer(ImageClassificationInferencer):
    """Predictions of a trained tuner or of FVG-PT on it.

        inferencer = FVGPTInferencer('work_dirs/coop_fvg_quickstart/epoch_10.pth')
        inferencer('photos/', classes=['red star', 'blue ring'], batch_size=32)[0]['pred_class']

    Args:
        model: a checkpoint; or a recipe, with the checkpoint as ``pretrained``; or a model of
            :func:`~fvgpt.inference.load.load_model`.
        pretrained: the checkpoint, if ``model`` is a recipe.
        device: a torch device; by default the GPU if there is one.
        classes: class names; by default those of training.
        branch: ``base``, ``new``, or ``open``, in which the classes of training are recognised by
            their names.
        options: changes of the recipe's keys, e.g. ``{'clip.pretrained': FILE}``.

    Raises:
        MissingFileError, UserError: see :func:`~fvgpt.inference.load.load_model`; or there is no
            such device.
    """

    def __init__(
        self,
        model: Union[str, Path, CLIPClassifier],
        pretrained: Union[str, Path, None] = None,
        device: Union[str, torch.device, None] = None,
        classes: Optional[Sequence[str]] = None,
        branch: str = Branch.OPEN,
        options: Optional[dict] = None,
    ):
        device = torch_device(device)
        if not isinstance(model, CLIPClassifier):
            checkpoint, recipe = (pretrained, str(model)) if pretrained else (model, None)
            model = load_model(str(checkpoint), recipe, options)
        super().__init__(model, device=device)
        self.default_classes, self.default_branch = classes or model.trained_class_names, branch
        self.skipped: List[str] = []
        if self.default_classes:
            self.set_classes()

    @property
    def tuner(self) -> CLIPClassifier:
        """The tuner, below FVG-PT or alone."""
        return tuner_of(self.model)

    def set_classes(
        self, classes: Optional[Sequence[str]] = None, branch: Optional[str] = None
    ) -> None:
        """Change the classes and the branch; the text features of earlier class lists are cached.

        Args:
            classes, branch: by default those given to the inferencer.

        Raises:
            UserError: there are no classes, or branch ``open`` without known training classes.
        """
        classes, branch = classes or self.default_classes, branch or self.default_branch
        if not classes:
            raise UserError('the checkpoint does not contain its classes: give class names')
        if branch == Branch.OPEN and not self.model.trained_class_names:
            raise UserError(
                'the checkpoint does not contain the classes it was trained on, which branch '
                "'open' needs: choose branch 'base' or 'new'"
            )
        self.model.set_class_names(classes, branch, self.config.dataset_name)
        self.classes = self.model.class_names

    def __call__(
        self,
        inputs: Union[Image, Sequence[Image]],
        return_datasamples: bool = False,
        batch_size: int = 1,
        classes: Optional[Sequence[str]] = None,
        branch: Optional[str] = None,
        topk: int = 5,
        compare: bool = False,
        skip_unreadable: bool = False,
        **kwargs,
    ) -> Union[List[dict], List[DataSample]]:
        """Predict.

        Args:
            inputs: file, folder (with images at any depth), array (H, W, 3) uint8 in BGR as in
                mmcv, or a list of these.
            return_datasamples: return mmpretrain's data samples, see
                :meth:`~fvgpt.tuners.classifier.CLIPClassifier.predict`.
            batch_size: images per pass.
            classes, branch: for this call; by default those given to the inferencer.
            topk: length of the rankings.
            compare: also rank by the tuner and by zero-shot CLIP.
            skip_unreadable: continue after a file that is not an image; the error is appended to
                ``skipped``.
            kwargs: ``show``, ``show_dir`` and others of
                :class:`mmpretrain.ImageClassificationInferencer`.

        Returns:
            One dict per image that could be read, with ``img_path`` (None for arrays),
            ``pred_class``, ``pred_label``, ``pred_score``, ``pred_scores`` (C,) and ``top``: per
            source, the model's own first, the best classes with their probabilities.

        Raises:
            MissingFileError: an input does not exist.
            UserError: an input cannot be read as an image, or the classes are invalid.
        """
        visualize_kwargs = self._dispatch_kwargs(**kwargs)[2]
        self.set_classes(classes, branch)
        if hasattr(self.model, 'compare'):
            self.model.compare = compare
        self.skipped, read, samples = [], [], []

        def prepared() -> Iterator[dict]:
            for item in self.find_images(inputs):
                try:
                    image = self.load(item)
                except ValueError as error:
                    if not skip_unreadable:
                        raise
                    self.skipped.append(str(error))
                    continue
                read.append(item)
                yield self.pipeline(image)

        for batch in self._get_chunk_data(prepared(), batch_size):
            samples.extend(self.forward(default_collate(batch)))
        visualization = self.visualize(read, samples, **visualize_kwargs)
        return self.postprocess(samples, visualization, return_datasamples, topk)

    def find_images(self, inputs: Union[Image, Sequence[Image]]) -> List[Union[str, np.ndarray]]:
        """Paths and arrays of the ``inputs`` of a call; folders are searched at any depth.

        Raises:
            MissingFileError: a file or folder does not exist.
            UserError: a folder has no images.
        """
        if isinstance(inputs, np.ndarray):
            return [inputs]
        if not isinstance(inputs, (str, Path)):
            return [item for entry in inputs for item in self.find_images(entry)]
        path = Path(inputs)
        if path.is_dir():
            found = sorted(
                str(path / file)
                for file in files_below(path, path)
                if file.lower().endswith(IMAGE_SUFFIXES)
            )
            if not found:
                raise UserError(f'{path} has no images ({", ".join(IMAGE_SUFFIXES)})')
            return [*found]
        if not path.is_file():
            raise MissingFileError(f'there is no image or folder {path}')
        return [str(path)]

    def _init_pipeline(self, cfg: Config) -> Callable:
        """The recipe's test transforms without the loading of files.

        If none of them changes the size of an image, CLIP's resize and centre crop come first.
        """
        first, *steps = cfg.pipeline
        if first['type'].rpartition('.')[2] not in ('LoadImage', 'LoadImageFromFile'):
            raise UserError(
                f'the pipeline of test images must start with LoadImage, not {first["type"]}'
            )
        if not any('scale' in step or 'crop_size' in step for step in steps):
            size = self.tuner.clip.image_size
            steps = [
                dict(
                    type='ResizeEdge',
                    scale=size,
                    edge='short',
                    backend='pillow',
                    interpolation='bicubic',
                ),
                dict(type='CenterCrop', crop_size=size),
                *steps,
            ]
            cfg.pipeline = [first, *steps]
        self._load_file = TRANSFORMS.build(first)
        return Compose([TRANSFORMS.build(step) for step in steps])

    def load(self, item: Union[str, np.ndarray]) -> Dict[str, object]:
        """An image as the pipeline's input: ``img`` (H, W, 3) uint8 in BGR, ``img_shape`` etc.

        Raises:
            UserError: the file or array is not an image.
        """
        if isinstance(item, str):
            try:
                return self._load_file(dict(img_path=item))
            except Exception as error:  # decoders raise many types of errors
                cause = '' if isinstance(error, UnidentifiedImageError) else f': {error}'
                raise UserError(f'{item} cannot be read as an image{cause}') from error
        if item.ndim != 3 or item.shape[2] != 3 or item.dtype != np.uint8 or not item.size:
            raise UserError(
                f'an image must be an array (H, W, 3) of uint8 in BGR, not {item.shape} of '
                f'{item.dtype}'
            )
        return dict(img=item, img_shape=item.shape[:2], ori_shape=item.shape[:2])

    def check_drawings(
        self, images: Sequence[Union[str, np.ndarray]], show_dir: Union[str, Path]
    ) -> None:
        """Check that drawings of predictions will not overwrite files.

        Args:
            images: paths and arrays.
            show_dir: folder of the drawings.

        Raises:
            UserError: names a file that exists, or that two of the images would be drawn to.
        """
        taken = set()
        for index, item in enumerate(images):
            name = Path(item).stem if isinstance(item, str) else str(index)
            file = (Path(show_dir) / name).with_suffix('.png')  # as mmpretrain names it
            if file in taken or file.exists():
                raise UserError(
                    f'{file} exists already, or two images would be drawn to it; choose another '
                    'folder, or draw images of the same name in separate calls'
                )
            taken.add(file)

    def visualize(
        self,
        ori_inputs: list,
        preds: List[DataSample],
        show: bool = False,
        show_dir: Optional[str] = None,
        **kwargs,
    ) -> Optional[List[np.ndarray]]:
        """Draw predictions as mmpretrain does.

        Raises:
            UserError: see :meth:`check_drawings`.
        """
        if show_dir is not None:
            self.check_drawings(ori_inputs, show_dir)
            Path(show_dir).mkdir(parents=True, exist_ok=True)
        with matplotlib.rc_context({'text.parse_math': False}):  # a class name may be '$x_'
            return super().visualize(ori_inputs, preds, show=show, show_dir=show_dir, **kwargs)

    def postprocess(
        self,
        preds: List[DataSample],
        visualization: Optional[list],
        return_datasamples: bool = False,
        topk: int = 5,
    ) -> Union[List[dict], List[DataSample]]:
        """Predictions in the form that :meth:`__call__` returns."""
        if return_datasamples:
            return preds
        sources = [
            self.model.source,
            *(source for source in (Source.TUNER, Source.ZERO_SHOT) if source != self.model.source),
        ]
        results = super().postprocess(preds, visualization)
        for result, sample in zip(results, preds):
            result['img_path'] = sample.get('img_path')
            result['top'] = {
                source: self._ranking(sample.get(f'{source}_score'), topk)
                for source in sources
                if f'{source}_score' in sample
            }
        return results

    def _ranking(self, scores: torch.Tensor, topk: int) -> List[tuple]:
        values, labels = scores.topk(min(topk, len(scores)))
        return [
            (self.classes[label], value) for label, value in zip(labels.tolist(), values.tolist())
        ]
