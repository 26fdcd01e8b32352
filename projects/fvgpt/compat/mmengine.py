"""Patch of MMEngine's Runner: any default hook can be disabled."""

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
    """Let ``default_hooks=dict(NAME=None)`` disable hooks of any name.

    MMEngine accepts further names in ``default_hooks`` but raises an AssertionError without a
    message if one of them is None. A recipe must be able to disable hooks of its base: FVG-PT's
    recipes disable the hook of the tuner's own training.
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
