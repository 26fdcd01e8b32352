"""The prefix ``fvgpt::`` in configs, as in ``_base_ = 'fvgpt::fvgpt/coop_fvg_imagenet.py'``."""

PREFIX = 'fvgpt'


def patch_config_prefix() -> None:
    """Add ``fvgpt::`` to the config prefixes of MMEngine, which are those of OpenMMLab's packages.

    MMEngine maps a prefix to a package name and searches ``<package folder>/.mim/configs``. It
    looks up the name as a distribution first, as a module second. In an editable installation the
    distribution's folder is not the package's folder, so the table gets a module of the package
    (``fvgpt.registry``), which is always found.

    What a config takes from such a base file (``_base_.model``) is built in the registry scope
    ``fvgpt``. Our recipes also name parts of mmpretrain, while our parts are in the root
    registries. So the scope is an empty child of each of mmpretrain's registries, and lookups pass
    on to mmpretrain and then to the root.
    """
    from mmengine.config.utils import MODULE2PACKAGE
    from mmengine.registry import Registry
    from mmpretrain import registry as mmpretrain_registry

    MODULE2PACKAGE[PREFIX] = 'fvgpt.registry'
    for registry in list(vars(mmpretrain_registry).values()):
        if isinstance(registry, Registry) and PREFIX not in registry.children:
            # MMEngine imports the locations of the scope that is asked, not those of its parents.
            Registry(
                registry.name,
                parent=registry,
                scope=PREFIX,
                locations=[PREFIX, *registry._locations],
            )
