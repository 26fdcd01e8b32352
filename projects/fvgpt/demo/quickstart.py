"""The model of the demo page that nobody named: FVG-PT on the embedded CLIP."""

import os
from pathlib import Path

from ..engine.runner.recipe import load_recipe, run_recipe
from ..engine.runner.resume import recipe_hash


def quickstart_checkpoint(recipe: Path) -> Path:
    """A finished run of the quickstart recipe: the user's own in ``work_dirs``, or one in a cache folder, trained now
    unless it is there.

    Args:
        recipe: the quickstart recipe.
    """
    cache = Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache') / 'fvgpt'
    options = dict(data_root=str(cache / 'data'))
    config = load_recipe(str(recipe), options)
    name = f'epoch_{config.train_cfg.max_epochs}.pth'
    own, cached = (
        Path('work_dirs') / recipe.stem / name,
        cache / f'{recipe.stem}-{recipe_hash(config)}' / name,
    )
    for checkpoint in (own, cached):
        if checkpoint.is_file():
            return checkpoint
    print(
        f'Training the quickstart recipe first, once (about 1.5 minutes on two cores), below {cache}',
        flush=True,
    )
    run_recipe(str(recipe), str(cached.parent), options, resume=True, test=False)
    return cached
