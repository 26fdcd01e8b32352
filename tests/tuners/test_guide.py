"""The example of the guide "Add a tuner" is a working tuner."""
import re

import torch

from fvgpt.registry import MODELS

from ..conftest import ROOT
from ..foreground.test_fvgpt import batch, build, group, same, train


def test_the_guides_tuner_trains_and_takes_fvgpt(random_clip):
    code = re.search(r'```python\n(.*?)```', (ROOT / 'docs' / 'add_a_tuner.md').read_text(), re.S)[1]
    assert len(code.splitlines()) <= 60
    exec(compile(code, 'docs/add_a_tuner.md', 'exec'), {})
    try:
        tuner = MODELS.get('VPT')(random_clip, class_names=['cat', 'dog', 'yellow-crested cockatoo'])
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
