"""Store the files that this release writes, for the tests of all later releases.

    python -m tests.releases.make

Trains every tuner on the embedded image set for a few steps, and FVG-PT on two of them. Writes the
checkpoints, a bundle, a few images, and the probabilities that the models give for them to
tests/releases/<version>/.
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path

import cv2

import fvgpt
from fvgpt.engine.runner.recipe import run_recipe
from fvgpt.inference.bundle import export_bundle
from fvgpt.inference.inferencer import FVGPTInferencer
from fvgpt.quickstart.world import TASK, task_samples

from ..conftest import ROOT

HERE = Path(__file__).parent
WHOLE = 'coop_fvg'  # stored with the optimizer's state, as training writes it, and as a bundle
RECIPES = [
    WHOLE,
    'ivlp_fvg',
    'coop',
    'kgcoop',
    'promptsrc',
    'mmrl',
    'ivlp',
    'maple',
    'cocoop',
    'prograd',
    'tcp',
    'clip_adapter',
    'tip_adapter',
    'tip_adapter_f',
]
NUMBERS = (
    7,
    12,
    17,
    20,
    23,
    37,
)  # arrows and crosses: three classes for training, three new ones
CLASSES = [TASK[number].name for number in NUMBERS]
SHOTS = 2
BRANCHES = ('base', 'new', 'open')


def probabilities(inferencer: FVGPTInferencer, images) -> dict:
    """Probabilities (images, classes) by branch and source.

    Sources are the model, the tuner below it, and zero-shot CLIP.
    """
    outputs = {}
    for branch in BRANCHES:
        results = inferencer(
            images,
            classes=CLASSES,
            branch=branch,
            topk=len(CLASSES),
            compare=True,
            batch_size=len(images),
        )
        for source in results[0]['top']:
            ranked = [dict(result['top'][source]) for result in results]
            outputs[f'{branch}, {source}'] = [
                [round(scores[name], 7) for name in CLASSES] for scores in ranked
            ]
    return outputs


def train(recipe: str, data: str, work_dir: str) -> Path:
    options = {
        'data_root': data,
        'num_shots': SHOTS,
        'train_cfg.max_epochs': 2,
        'train_dataloader.dataset.test_per_class': 1,
        'default_hooks.checkpoint.save_optimizer': recipe == WHOLE,
    }
    if recipe.startswith('tip_adapter'):
        options['model.cache_size'] = SHOTS * len(TASK) // 2
    run_recipe(
        str(ROOT / 'configs' / 'fvgpt' / f'{recipe}_quickstart.py'), work_dir, options, test=False
    )
    return Path(work_dir) / 'epoch_2.pth'


def main() -> None:
    folder = HERE / fvgpt.__version__
    if folder.exists():
        sys.exit(f'{folder} is there already: what a release wrote is never made again')
    images = [
        pixels[..., ::-1]
        for label, pixels, _ in task_samples('test', 1, 0.0, 'exact')
        if label in NUMBERS
    ]
    with tempfile.TemporaryDirectory() as work:
        kept, outputs = Path(work) / 'kept', {}
        kept.mkdir()
        for recipe in RECIPES:
            checkpoint = train(recipe, f'{work}/data', f'{work}/{recipe}').rename(
                kept / f'{recipe}.pth'
            )
            inferencer = FVGPTInferencer(checkpoint, device='cpu')
            outputs[recipe] = probabilities(inferencer, images)
            if recipe == WHOLE:
                export_bundle(inferencer, str(kept))
        for number, image in enumerate(images):
            cv2.imwrite(str(kept / f'{number}.png'), image)
        (kept / 'outputs.json').write_text(json.dumps(outputs, indent=0))
        shutil.move(kept, folder)


if __name__ == '__main__':
    main()
