"""The default model of the demo page: FVG-PT on the embedded CLIP."""

import os
from pathlib import Path

from ..engine.runner.recipe import load_recipe, run_recipe
from ..engine.runner.resume import recipe_hash


def quickstart_checkpoint(recipe: Path) -> Path:
    """Checkpoint of a finished run of the quickstart recipe.

    It is the user's run in ``work_dirs`` if there is one. Otherwise it is a run in a cache folder
    (``~/.cache/fvgpt``), which is trained now if it does not exist.

    Args:
        recipe: the quickstart recipe.
    """
    cache = Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache') / 'fvgpt'
    options = dict(data_root=str(cache / 'data'))
    config = load_recipe(str(recipe), options)
    name = f'epoch_{config.train_cfg.max_epochs}.pth'
    own = Path('work_dirs') / recipe.stem / name
    cached = cache / f'{recipe.stem}-{recipe_hash(config)}' / name
    for checkpoint in (own, cached):
        if checkpoint.is_file():
            return checkpoint
    print(
        f'Training the quickstart recipe first, once (about 1.5 minutes on two cores), in {cache}',
        flush=True,
    )
    run_recipe(str(recipe), str(cached.parent), options, resume=True, test=False)
    return cached
