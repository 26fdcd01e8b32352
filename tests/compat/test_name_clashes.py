"""If another package has registered one of our names, the error names it and the remedy."""

import pytest
from mmengine.registry import MODELS

from fvgpt.compat.name_clashes import clashes_named, warn_of_hidden_names

from ..conftest import ROOT, run_tool

OTHER = """
from mmengine.registry import MODELS
@MODELS.register_module()
class MaPLe: pass
"""


def test_a_package_that_has_our_name_first_is_named(tmp_path):
    (tmp_path / 'other_prompts.py').write_text(OTHER)
    done = run_tool(
        '-c', 'import other_prompts, fvgpt', cwd=tmp_path, env=dict(PYTHONPATH=str(tmp_path))
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(
        'RuntimeError: fvgpt cannot be imported beside other_prompts: '
        "both register 'MaPLe' in the model registry"
    )


def test_one_package_under_two_names_is_named(tmp_path):
    """Projects in OpenMMLab's repositories are imported as ``projects.<name>``."""
    done = run_tool(
        '-c', 'import fvgpt, projects.fvgpt', cwd=tmp_path, env=dict(PYTHONPATH=str(ROOT))
    )
    assert done.returncode == 1
    assert (
        'RuntimeError: projects.fvgpt cannot be imported beside fvgpt.'
        in done.stderr.splitlines()[-1]
    )


def test_other_errors_are_left_alone():
    """Also those of another package's names, whatever their text."""
    with pytest.raises(KeyError, match='absent'), clashes_named('fvgpt'):
        {}['absent']
    text = 'CoOp is already registered in model at fvgpt.tuners.coop'
    with pytest.raises(KeyError, match=text), clashes_named('fvgpt'):
        MODELS.register_module(module=type('CoOp', (), dict(__module__='theirs.coop')))


def test_each_way_to_register_a_taken_name_is_named():
    ours = type('CoOp', (), dict(__module__='copy.fvgpt.coop'))
    with clashes_named('copy.fvgpt'):
        for name in (None, 'CoOp', ['FreeName', 'CoOp']):
            with pytest.raises(
                RuntimeError, match=r"beside fvgpt\.tuners\.coop: both register 'CoOp'"
            ):
                MODELS.register_module(name)(ours)
        assert MODELS.register_module('CoOp', force=True)(MODELS.get('CoOp')) is MODELS.get('CoOp')
    assert 'FreeName' not in MODELS.module_dict


def test_a_name_in_another_scope_is_warned_of(recwarn):
    warn_of_hidden_names('fvgpt')
    assert not recwarn.list, 'mmpretrain has none of our names'
    registry = MODELS.children['mmpretrain']
    registry.register_module(name='CoOp', module=type('CoOp', (), dict(__module__='theirs.coop')))
    try:
        with pytest.warns(
            UserWarning,
            match=r"theirs\.coop registers a CoOp too: .*'mmpretrain'.* by type='mmengine\.CoOp'",
        ):
            warn_of_hidden_names('fvgpt')
        assert registry.get('CoOp').__module__ == 'theirs.coop'
        assert registry.get('mmengine.CoOp').__module__ == 'fvgpt.tuners.coop'
    finally:
        del registry.module_dict['CoOp']
