# Table 2: tune on all classes of ImageNet, test on ten other data sets; the base branch predicts
# the source, the new branch the targets (decision O25)
title = 'Cross-dataset transfer from ImageNet'
tuners = dict(
    coop={},
    kgcoop={},
    promptsrc=dict(
        options={
            'train_cfg.max_epochs': 5,
            'train_dataloader.batch_size': 4,
            'optim_wrapper.optimizer.lr': 0.0035,
        },
        stage1={
            'model.depth_text': 3,
            'model.depth_vision': 3,
            'default_hooks.prompt_aggregation.mean': 6,
            'default_hooks.prompt_aggregation.std': 10,
        },
    ),
    mmrl=dict(
        options={
            'train_cfg.max_epochs': 5,
            'train_dataloader.batch_size': 32,
            'param_scheduler.warmup_epochs': 0,
        },
        stage1={'model.reg_weight': 0.2},
    ),
)
datasets = ['imagenet']
options = {'train_dataloader.dataset.subset': 'all'}
average = [
    'caltech101',
    'oxford_pets',
    'stanford_cars',
    'oxford_flowers',
    'food101',
    'fgvc_aircraft',
    'sun397',
    'dtd',
    'eurosat',
    'ucf101',
]
evaluate = dict(imagenet={}, **{name: dict(dataset=name, branch='new') for name in average})
columns = ['imagenet', *average]
