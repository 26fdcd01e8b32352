"""The prefix ``fvgpt::`` in configs of any OpenMMLab project: ``_base_ = 'fvgpt::fvgpt/coop_fvg_imagenet.py'``."""

from mmengine.config.utils import MODULE2PACKAGE
from mmengine.registry import Registry
from mmpretrain import registry as mmpretrain_registry

PREFIX = 'fvgpt'


def register_config_prefix() -> None:
    """Make ``fvgpt::`` one of the prefixes that MMEngine's config loader knows, which are those of OpenMMLab's own packages.

    MMEngine looks for the value of its table as a distribution first and as a module second, and takes the folder of what it
    finds, below which ``.mim/configs`` lies. The distribution's folder is not the package's in an editable installation, so
    the value is a module in the package: the import system always knows where it is.

    What a config takes out of such a base (``_base_.model``) is built in the scope ``fvgpt``. Our recipes name parts of
    mmpretrain beside ours, which are in the root registries, so the scope is an empty one below mmpretrain's.
    """
    MODULE2PACKAGE[PREFIX] = 'fvgpt.registry'
    for registry in list(vars(mmpretrain_registry).values()):
        if isinstance(registry, Registry) and PREFIX not in registry.children:
            # MMEngine imports what is to be found in the scope that it asks, not in those above
            Registry(
                registry.name,
                parent=registry,
                scope=PREFIX,
                locations=[PREFIX, *registry._locations],
            )
