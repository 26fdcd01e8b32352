"""The recipes of ``configs/fvgpt`` as a table: tuner x data set x stage, and the text of each file.

A new tuner is a class in ``tuners/``, imported in its ``__init__.py``, a file
``configs/_base_/models/<tuner>.py`` and a row of ``TUNERS``. A new data set is a file
``configs/_base_/datasets/<data set>.py`` and a row of ``DATA_SETS``.
``python tools/make_recipes.py`` then writes the recipes.
"""

from dataclasses import dataclass, field
from functools import cache
from typing import Any, Dict, List, Sequence, Tuple, Union

COLUMNS = 100
MARK = '# Written by tools/make_recipes.py'

# benchmarks of the paper: part of configs/_base_/datasets -> title
FIELD = dict(
    imagenet='ImageNet',
    caltech101='Caltech101',
    oxford_pets='OxfordPets',
    stanford_cars='StanfordCars',
    oxford_flowers='OxfordFlowers',
    food101='Food101',
    fgvc_aircraft='FGVCAircraft',
    sun397='SUN397',
    dtd='DescribableTextures',
    eurosat='EuroSAT',
    ucf101='UCF101',
)
IMAGE_SETS = dict(FIELD, waterbirds='Waterbirds', quickstart='QuickstartWorld', custom='own images')
DATA_SETS = dict(IMAGE_SETS, features='precomputed features')
_FEATURES = ('quickstart', 'features')


class Code(str):
    """Python source among the values of a recipe, written without quotes."""

    __repr__ = str.__str__


@dataclass(frozen=True)
class Tuner:
    """A row of the table: the recipes of a tuner, alone and with FVG-PT.

    Attributes:
        title: name of the method.
        data_sets: keys of ``DATA_SETS``.
        part: file of ``configs/_base_/models`` if its name is not that of the tuner.
        schedule: file of ``configs/_base_/schedules``.
        schedules: data set -> schedule, if it is not the same for all.
        crops: ``crop`` or ``half_crop``, the pipeline of random crops for training; '' trains on
            squashed images.
        keys: keys of its recipes, on any data set.
        quickstart: further keys for the embedded CLIP and image set.
        fvgpt: keys of its recipes with FVG-PT.
        hook: name and config of a hook of the tuner's training, disabled in FVG-PT's recipes.
        notes: key -> comment above it.
    """

    title: str
    data_sets: Sequence[str] = ('quickstart',)
    part: str = ''
    schedule: str = 'sgd_10e'
    schedules: Dict[str, str] = field(default_factory=dict)
    crops: str = 'crop'
    keys: Dict[str, Any] = field(default_factory=dict)
    quickstart: Dict[str, Any] = field(default_factory=dict)
    fvgpt: Dict[str, Any] = field(default_factory=dict)
    hook: Dict[str, Any] = field(default_factory=dict)
    notes: Dict[str, str] = field(default_factory=dict)


def _rate(lr: float) -> dict:
    return dict(optim_wrapper=dict(optimizer=dict(lr=lr)))


_SIX_LAYERS = dict(model='the towers of the embedded CLIP have six layers')
_TIP_CACHE = dict(tip_cache=dict(type='TipCacheHook'))

TUNERS = dict(
    coop=Tuner('CoOp', [*IMAGE_SETS], crops='', schedules=dict(eurosat='sgd_20e')),
    kgcoop=Tuner('KgCoOp', [*IMAGE_SETS]),
    promptsrc=Tuner(
        'PromptSRC',
        [*IMAGE_SETS],
        schedule='promptsrc',
        keys=dict(train_dataloader=dict(batch_size=32)),
        quickstart=dict(model=dict(depth_text=4, depth_vision=4)),
        hook=dict(prompt_aggregation=Code('_base_.aggregation')),
        notes=_SIX_LAYERS,
    ),
    mmrl=Tuner(
        'MMRL',
        [*IMAGE_SETS],
        schedule='mmrl',
        crops='half_crop',
        quickstart=dict(model=dict(layers=[3, 4, 5, 6], rep_dim=128)),
        notes=_SIX_LAYERS,
    ),
    ivlp=Tuner(
        'IVLP',
        quickstart=dict(model=dict(depth_text=4, depth_vision=4), **_rate(0.0025)),
        notes=_SIX_LAYERS,
    ),
    maple=Tuner(
        'MaPLe',
        quickstart=dict(model=dict(depth=4), train_cfg=dict(max_epochs=5)),
        notes=_SIX_LAYERS,
    ),
    cocoop=Tuner(
        'CoCoOp',
        quickstart=dict(**_rate(0.002), train_cfg=dict(max_epochs=3)),
        notes=dict(train_cfg='each image encodes all classes: fewer epochs than the original ten'),
    ),
    prograd=Tuner('ProGrad'),
    tcp=Tuner(
        'TCP',
        schedule='mmrl',
        keys=dict(train_dataloader=dict(batch_size=32)),
        quickstart=dict(
            model=dict(layer=4),
            optim_wrapper=dict(
                optimizer=dict(_delete_=True, type='Adam', lr=0.002, weight_decay=5e-4)
            ),
        ),
        notes=_SIX_LAYERS,
    ),
    clip_adapter=Tuner(
        'CLIP-Adapter',
        _FEATURES,
        keys=dict(train_dataloader=dict(batch_size=32)),
        quickstart=_rate(0.002),
    ),
    tip_adapter=Tuner(
        'Tip-Adapter',
        _FEATURES,
        schedule='mmrl',
        crops='',
        keys=dict(**_rate(0.0), train_cfg=dict(max_epochs=1)),
        fvgpt=dict(**_rate(0.001), train_cfg=dict(max_epochs=10)),
        hook=_TIP_CACHE,
        notes=dict(optim_wrapper='Tip-Adapter as such: the cache is filled and not trained'),
    ),
    tip_adapter_f=Tuner(
        'Tip-Adapter-F', _FEATURES, part='tip_adapter', schedule='mmrl', hook=_TIP_CACHE
    ),
    linear_text=Tuner(
        'LinearText',
        _FEATURES,
        keys=_rate(1e-4),
        fvgpt=_rate(0.0035),
    ),
    taskres=Tuner('TaskRes', _FEATURES, schedule='mmrl'),
)


@dataclass(frozen=True)
class Recipe:
    """One file of ``configs/fvgpt``.

    Attributes:
        name: name of the file, without ``.py``.
        tuner: key of ``TUNERS``.
        data_set: key of ``DATA_SETS``.
        stage: 1 trains the tuner; 2 trains FVG-PT on it, after the recipe of stage 1.
        what: short description.
        bases: files of its ``_base_``.
        keys: keys that differ from the bases.
        comment: comment lines at the top of the file.
        notes: key -> comment above it.
    """

    name: str
    tuner: str
    data_set: str
    stage: int
    what: str
    bases: Union[str, List[str]]
    keys: Dict[str, Any]
    comment: Tuple[str, ...] = ()
    notes: Dict[str, str] = field(default_factory=dict)


_HALVES = [dict(subset='base'), dict(subset='new')]
# Recipes of stage 1 that are variants of another one: name -> base, comment, keys
_CHANGED = dict(
    coop_custom_held_out=(
        'coop_custom',
        (
            'CoOp on the first half of your classes, by name; the other half are new classes, '
            'for the',
            'test only',
        ),
        dict(
            train_dataloader=dict(dataset=dict(subset='base')),
            test_cfg=dict(tests=_HALVES),
        ),
    ),
    coop_mmpretrain_dataset=(
        'coop_custom',
        (
            'A data set type of mmpretrain in place of ours, here CustomDataset on '
            'DATA/train/<class> and',
            'DATA/test/<class>. FewShotWrapper draws the shots for training; for testing, '
            'the type stands',
            'alone.',
        ),
        dict(
            _train=dict(type='mmpretrain.CustomDataset', data_prefix='train'),
            _test=dict(
                type='mmpretrain.CustomDataset',
                data_prefix='test',
                pipeline=Code('_base_.test_pipeline'),
            ),
            _shots=dict(
                type='FewShotWrapper',
                dataset=Code('_train'),
                pipeline=Code('_base_.squash_pipeline'),
            ),
            train_dataloader=dict(dataset=Code('dict(_shots, _delete_=True)')),
            test_dataloader=dict(dataset=Code('dict(_test, _delete_=True)')),
        ),
    ),
    coop_original_imagenet=(
        'coop_imagenet',
        (
            'CoOp as its authors ran it: 16 context tokens, batches of 32, SGD .002, '
            '50 epochs, random',
            'crops',
        ),
        dict(
            model=dict(n_ctx=16),
            train_dataloader=dict(
                batch_size=32, dataset=dict(pipeline=Code('_base_.crop_pipeline'))
            ),
            **_rate(0.002),
            train_cfg=dict(max_epochs=50),
        ),
    ),
    kgcoop_original_imagenet=(
        'kgcoop_imagenet',
        ('KgCoOp as its authors ran it: W = 8, batches of 128, SGD .002, 100 epochs',),
        dict(
            model=dict(weight=8.0),
            train_dataloader=dict(batch_size=128),
            **_rate(0.002),
            train_cfg=dict(max_epochs=100),
        ),
    ),
    promptsrc_original_imagenet=(
        'promptsrc_imagenet',
        (
            'PromptSRC as its authors ran it: batches of 4, 20 epochs, prompts averaged '
            'around epoch 15',
        ),
        dict(train_dataloader=dict(batch_size=4), train_cfg=dict(max_epochs=20)),
    ),
    mmrl_original_imagenet=(
        'mmrl_imagenet',
        (
            'MMRL as its authors ran it on ImageNet: batches of 32, 5 epochs, their regularisation',
            'weight',
        ),
        dict(
            model=dict(reg_weight='ImageNet'),
            train_dataloader=dict(batch_size=32),
            train_cfg=dict(max_epochs=5),
        ),
    ),
)
_MASKS_BESIDE_IMAGES = ('custom', 'custom_held_out')  # OwnImages finds them
_WITH_FVGPT = ('coop_custom_held_out', 'coop_mmpretrain_dataset')


@cache
def recipes() -> Dict[str, Recipe]:
    """All recipes, by name."""
    first = [_tuning(tuner, name) for tuner in TUNERS for name in TUNERS[tuner].data_sets]
    by_name = {recipe.name: recipe for recipe in first}
    changed = [_changed(name, by_name[base]) for name, (base, _, _) in _CHANGED.items()]
    above = [_fvgpt(one) for one in (*first, *(r for r in changed if r.name in _WITH_FVGPT))]
    robust = [_robust(one) for one in above]
    return {
        recipe.name: recipe for recipe in sorted([*first, *changed, *above, *robust], key=_by_name)
    }


def _by_name(recipe: Recipe) -> str:
    return recipe.name


def _tuning(tuner: str, data_set: str) -> Recipe:
    row = TUNERS[tuner]
    keys: Dict[str, Any] = {}
    if data_set == 'quickstart':
        keys = dict(clip=dict(name='quickstart', pretrained=None), model=dict(clip=Code('clip')))
    if data_set == 'features':
        clip = dict(_delete_=True, type='PrecomputedCLIP')
        keys = dict(clip=clip, model=dict(clip=clip))
    elif row.crops:
        pipeline = Code(f'_base_.{row.crops}_pipeline')
        keys = _merged(keys, dict(train_dataloader=dict(dataset=dict(pipeline=pipeline))))
    keys = _merged(keys, row.keys, row.quickstart if data_set == 'quickstart' else {})
    if row.hook:
        keys['default_hooks'] = row.hook
    schedule = row.schedules.get(data_set, row.schedule)
    parts = (
        f'models/{row.part or tuner}',
        f'datasets/{data_set}',
        f'schedules/{schedule}',
        'default_runtime',
    )
    return Recipe(
        name=f'{tuner}_{data_set}',
        tuner=tuner,
        data_set=data_set,
        stage=1,
        what=f'{row.title}, {DATA_SETS[data_set]}',
        bases=[f'../_base_/{part}.py' for part in parts],
        keys=keys,
        notes={
            key: note
            for key, note in row.notes.items()
            if key in {**row.keys, **(row.quickstart if data_set == 'quickstart' else {})}
        },
    )


def _changed(name: str, base: Recipe) -> Recipe:
    _, comment, keys = _CHANGED[name]
    return Recipe(
        name=name,
        tuner=base.tuner,
        data_set=base.data_set,
        stage=1,
        what=' '.join(comment),
        bases=f'./{base.name}.py',
        keys=keys,
        comment=comment,
    )


def _fvgpt(tuning: Recipe) -> Recipe:
    row = TUNERS[tuning.tuner]
    rest = tuning.name[len(tuning.tuner) + 1 :]
    masks = 'auto' if rest in _MASKS_BESIDE_IMAGES else 'mask'
    crops = 'half_' if row.crops == 'half_crop' else ''
    views: Dict[str, Any] = dict(
        mask_root=masks, pipeline=Code(f'_base_.{crops}foreground_pipeline')
    )
    if tuning.data_set == 'features':
        names = dict(full='full', foreground='foreground', area='area')
        views = dict(views=names)
    keys: Dict[str, Any] = dict(
        tuner_recipe=f'{{{{ fileDirname }}}}/{tuning.name}.py',
        model=dict(_delete_=True, type='FVGPT', tuner=Code('_base_.model')),
        train_dataloader=dict(dataset=views),
        **row.fvgpt,
    )
    notes = dict(tuner_recipe='stage 1, run first unless model.backbone_checkpoint is set')
    if row.hook:
        keys['default_hooks'] = dict.fromkeys(row.hook)
        notes['default_hooks'] = "of the tuner's own training, which is over"
    return Recipe(
        name=f'{tuning.tuner}_fvg_{rest}',
        tuner=tuning.tuner,
        data_set=tuning.data_set,
        stage=2,
        what=f'FVG-PT on {tuning.what}',
        bases=f'./{tuning.name}.py',
        keys=keys,
        notes=notes,
    )


def _robust(paper: Recipe) -> Recipe:
    """The variant against other backgrounds, beside the paper's form (docs/method.md)."""
    crops = 'half_' if TUNERS[paper.tuner].crops == 'half_crop' else ''
    views: Dict[str, Any] = dict(pipeline=Code(f'_base_.{crops}exchange_pipeline'))
    if paper.data_set == 'features':
        views = dict(views=dict(exchanged='exchanged'))
    return Recipe(
        name=paper.name.replace('_fvg_', '_fvg_robust_'),
        tuner=paper.tuner,
        data_set=paper.data_set,
        stage=2,
        what=f'robust {paper.what}',
        bases=[f'./{paper.name}.py', '../_base_/models/robust.py'],
        keys=dict(
            model=Code('_base_.robust_model'),
            train_dataloader=dict(dataset=views),
            optim_wrapper=Code('_base_.robust_optim_wrapper'),
        ),
    )


def _merged(*parts: Dict[str, Any]) -> Dict[str, Any]:
    """Merge nested dicts; later ones have priority."""
    merged: Dict[str, Any] = {}
    for part in parts:
        for key, value in part.items():
            inner = merged.get(key)
            if isinstance(inner, dict) and isinstance(value, dict):
                value = _merged(inner, value)
            merged[key] = value
    return merged


# ------------------------------------------------------------------ files
def recipe_text(recipe: Recipe) -> str:
    """The content of a recipe's file, formatted as ``ruff format`` would."""
    lines = [*(f'# {line}' for line in recipe.comment), MARK]
    for key, value in dict(_base_=recipe.bases, **recipe.keys).items():
        lines += [f'# {recipe.notes[key]}'] if key in recipe.notes else []
        lines.append(_source(value, f'{key} = '))
    return '\n'.join(lines) + '\n'


def _source(value: Any, before: str, indent: int = 0, after: str = '') -> str:
    flat = f'{" " * indent}{before}{_flat(value)}{after}'
    if len(flat) <= COLUMNS or not isinstance(value, (dict, list)):
        return flat
    named = value.items() if isinstance(value, dict) else [('', item) for item in value]
    begin, end = ('dict(', ')') if isinstance(value, dict) else ('[', ']')
    inner = [_source(item, f'{key}=' if key else '', indent + 4, ',') for key, item in named]
    return '\n'.join([' ' * indent + before + begin, *inner, ' ' * indent + end + after])


def _flat(value: Any) -> str:
    if isinstance(value, dict):
        return f'dict({", ".join(f"{key}={_flat(item)}" for key, item in value.items())})'
    if isinstance(value, list):
        return f'[{", ".join(map(_flat, value))}]'
    return repr(value)


_METAFILE = f"""{MARK}
# In OpenMMLab's format, for mim, MMEngine's hub and mmpretrain's get_model. No numbers and no
# weights: none were published. The task is what mmpretrain chooses its inferencer by.
Collections:
  - Name: FVG-PT
    Metadata:
      Architecture:
        - CLIP
        - Prompt Tuning
        - Foreground Reliability Gate
        - Foreground Distillation Compensation
        - Prior Calibration
    Paper:
      Title: 'FVG-PT: Adaptive Foreground View-Guided Prompt Tuning for Vision-Language Models'
      URL: https://arxiv.org/abs/2603.08708
    README: docs/method.md
Models:
"""


def metafile_text() -> str:
    """The content of ``configs/fvgpt/metafile.yml``, the index of the recipes."""
    models = ''.join(
        f'  - Name: {recipe.name}\n'
        '    In Collection: FVG-PT\n'
        f'    Config: configs/fvgpt/{recipe.name}.py\n'
        '    Metadata: {}\n'
        '    Results:\n'
        '      - {Task: Image Classification, '
        f'Dataset: {DATA_SETS[recipe.data_set]}, Metrics: {{}}}}\n'
        for recipe in recipes().values()
    )
    return _METAFILE + models


def files() -> Dict[str, str]:
    """Name -> content of every file of ``configs/fvgpt``."""
    texts = {f'{name}.py': recipe_text(recipe) for name, recipe in recipes().items()}
    return {**texts, 'metafile.yml': metafile_text()}
