"""Our recipes in mmpretrain's ModelHub: ``mmpretrain.get_model('coop_fvg_quickstart')``."""

from functools import cache, partial, wraps
from pathlib import Path

INDEX = Path(__file__).resolve().parents[1] / '.mim' / 'model-index.yml'


def patch_model_hub() -> None:
    """Add the recipes of ``model-index.yml`` to the models that mmpretrain finds by name.

    ``list_models``, ``get_model`` and the inferencers read mmpretrain's own index on first use, and
    ours right after it. Reading the YAML files takes 0.3 s and is not done by ``import fvgpt``.
    """
    from mmpretrain.apis.model import ModelHub

    original = ModelHub._register_mmpretrain_models.__func__
    if hasattr(original, '__wrapped__'):  # applied already
        return
    read_once = cache(partial(ModelHub.register_model_index, INDEX, INDEX.parent))

    @wraps(original)
    def register(cls) -> None:
        original(cls)
        read_once()

    ModelHub._register_mmpretrain_models = classmethod(register)
