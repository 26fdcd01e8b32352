"""Change to MMEngine's Runner: any default hook can be switched off."""

from functools import wraps
from typing import Any, Dict, Optional

# the names that Runner.register_default_hooks accepts None for
_MMENGINE_HOOKS = (
    'runtime_info',
    'timer',
    'sampler_seed',
    'logger',
    'param_scheduler',
    'checkpoint',
)


def patch_default_hooks() -> None:
    """Let ``default_hooks=dict(NAME=None)`` switch off hooks of any name.

    MMEngine takes further names in ``default_hooks`` but ends with a bare AssertionError if one of
    them is None. A recipe has to be able to switch off what its base has: FVG-PT's recipes do so
    with the hook of their tuner's own training.
    """
    from mmengine.runner import Runner

    original = Runner.register_default_hooks
    if hasattr(original, '__wrapped__'):  # applied already
        return

    @wraps(original)
    def register_default_hooks(self, hooks: Optional[Dict[str, Any]] = None) -> None:
        if hooks is not None:
            hooks = {
                name: hook
                for name, hook in hooks.items()
                if hook is not None or name in _MMENGINE_HOOKS
            }
        original(self, hooks)

    Runner.register_default_hooks = register_default_hooks
