"""The example of the guide "Add a tuner" is a working tuner."""

import re
from shutil import copytree

import torch

from fvgpt.engine.runner.recipe import load_recipe
from fvgpt.protocols.plan import load_protocol, plan
from fvgpt.registry import MODELS

from ..conftest import ROOT
from ..foreground.test_fvgpt import batch, build, group, same, train


def test_the_guides_tuner_trains_and_takes_fvgpt(random_clip):
    code = re.search(r'```python\n(.*?)```', (ROOT / 'docs' / 'add_a_tuner.md').read_text(), re.S)[
        1
    ]
    assert len(code.splitlines()) <= 60
    exec(compile(code, 'docs/add_a_tuner.md', 'exec'), {})
    try:
        tuner = MODELS.get('VPT')(random_clip)
        tuner.set_class_names(['cat', 'dog', 'yellow-crested cockatoo'])
        before = tuner.tokens.detach().clone()
        history = train(tuner, steps=3)
        assert all(torch.isfinite(torch.tensor(terms['loss'])) for terms in history)
        assert not torch.equal(before, tuner.tokens)
        model = build(tuner)
        frozen = group(model, 'tuner')
        train(model)
        assert same(frozen, group(model, 'tuner'))
        model.eval().set_class_names(['Yo_Yo', 'St. Bernard'], 'new')
        assert model(batch(0)[0]).shape == (4, 2)
    finally:
        MODELS._module_dict.pop('VPT', None)


def test_the_guides_recipes_are_found_by_commands_and_protocols(tmp_path):
    blocks = re.findall(
        r'```python\n# (configs/\S+)\n(.*?)```',
        (ROOT / 'docs' / 'add_a_tuner.md').read_text(),
        re.S,
    )
    assert [path for path, _ in blocks] == [
        'configs/_base_/models/vpt.py',
        'configs/fvgpt/vpt_quickstart.py',
        'configs/fvgpt/vpt_fvg_quickstart.py',
    ]
    copytree(ROOT / 'configs', tmp_path / 'configs')
    for path, text in blocks:
        (tmp_path / path).write_text(text)
    alone, with_fvg = (load_recipe(str(tmp_path / path)) for path, _ in blocks[1:])
    assert (
        alone.model == with_fvg.model.tuner
        and alone.model.type == 'VPT'
        and alone.model.clip.name == 'quickstart'
    )
    assert with_fvg.model.type == 'FVGPT' and with_fvg.train_dataloader.dataset.mask_root == 'mask'
    runs = plan(
        load_protocol(str(tmp_path / 'configs/protocols/base_to_new.py')),
        [1],
        tmp_path,
        ['vpt'],
        ['quickstart'],
    )
    assert [run.config.model.type for run in runs] == ['VPT', 'FVGPT']
