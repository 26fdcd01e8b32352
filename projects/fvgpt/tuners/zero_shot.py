"""The original CLIP (Radford et al., 2021): hand-written prompts, nothing trained."""

from typing import List, Optional, Union

from ..clip.frozen_clip import FrozenCLIP
from ..clip.prompts import PLAIN_TEMPLATE, resolve_template
from ..names import Source
from ..registry import MODELS
from .base import PromptTuner
from .features import Features


@MODELS.register_module()
class ZeroShotCLIP(PromptTuner):
    """Zero-shot CLIP with one template.

    Args:
        clip, data_preprocessor: see :class:`~fvgpt.tuners.base.PromptTuner`.
        template: see :func:`~fvgpt.clip.prompts.resolve_template`.
    """

    source = Source.ZERO_SHOT

    def __init__(
        self,
        clip: Union[FrozenCLIP, dict],
        template: str = PLAIN_TEMPLATE,
        data_preprocessor: Optional[dict] = None,
    ):
        super().__init__(clip, data_preprocessor)
        resolve_template(template)  # reports an invalid one now, not with the first data set
        self.template = template

    def _build_classes(self, class_names: List[str]) -> None:
        self._prompts = self.clip.class_prompts(class_names, self.template, self.dataset_name)

    def encode_text(self) -> Features:
        """g (C, D) of the filled template."""
        return dict(feature=self.clip.encode_text(self._prompts))
