"""Prompt texts and class names."""

import pytest

from fvgpt.clip import fill_template, resolve_template
from fvgpt.datasets.class_names import check_class_names


def test_templates_by_text_and_by_name_of_a_data_set():
    assert fill_template('a photo of a {}.', ['golden_retriever']) == [
        'a photo of a golden retriever.'
    ]
    assert fill_template('EuroSAT', ['Forest']) == ['a centered satellite photo of Forest.']
    with pytest.raises(ValueError, match='has no {}'):
        resolve_template('a photo')


@pytest.mark.parametrize(
    'names, message',
    [
        ([], 'empty'),
        (['cat', ''], r'class_names\[1\]'),
        (['cat', '  '], r'class_names\[1\]'),
        (['cat', '_'], r'class_names\[1\]'),
        ([3], r'class_names\[0\]'),
    ],
)
def test_the_error_names_an_invalid_class_name(names, message):
    with pytest.raises(ValueError, match=message):
        check_class_names(names)
