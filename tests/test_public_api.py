"""The names of ``import fvgpt`` that Python users build on."""

import subprocess
import sys

import pytest

import fvgpt
from fvgpt.inference.inferencer import FVGPTInferencer


def test_public_names_are_what_their_modules_define():
    assert fvgpt.FVGPTInferencer is FVGPTInferencer
    for name in fvgpt.__all__:
        assert getattr(fvgpt, name) is not None


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match='no attribute'):
        fvgpt.load_modle  # noqa: B018


def test_what_is_not_used_is_not_imported():
    code = 'import sys, fvgpt; print(*(m for m in sys.modules if m.startswith("fvgpt.inference")))'
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_every_room_but_those_of_the_commands_is_imported_with_the_package():
    assert {'clip', 'tuners', 'foreground', 'mixing', 'segmentation'} <= set(vars(fvgpt))
