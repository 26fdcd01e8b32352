"""CLIP as it comes (Radford et al., 2021): hand-written prompts, nothing trained."""

from typing import List, Optional, Sequence, Union

from ..clip.frozen_clip import FrozenCLIP
from ..clip.prompts import PLAIN_TEMPLATE, fill_template, resolve_template
from ..registry import MODELS
from .base import Features, PromptTuner


@MODELS.register_module()
class ZeroShotCLIP(PromptTuner):
    """Zero-shot CLIP with one template.

    Args:
        clip, class_names, data_preprocessor: see :class:`~fvgpt.tuners.base.PromptTuner`.
        template: see :func:`~fvgpt.clip.resolve_template`.
    """

    source = 'zero_shot'

    def __init__(
        self,
        clip: Union[FrozenCLIP, dict],
        template: str = PLAIN_TEMPLATE,
        class_names: Optional[Sequence[str]] = None,
        data_preprocessor: Optional[dict] = None,
    ):
        super().__init__(clip, class_names, data_preprocessor)
        resolve_template(template)  # a wrong one is found here
        self.template = template
        self.init_classes()

    def _build_classes(self, class_names: List[str]) -> None:
        self._prompts = fill_template(self.template, class_names, self.dataset_name)
        self.clip.tokenize(
            self._prompts
        )  # a class name that is too long is found here, not in the first batch

    def encode_text(self) -> Features:
        """g (C, D) of the filled template."""
        return dict(feature=self.clip.encode_text(self._prompts))
