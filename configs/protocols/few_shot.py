# 1 to 16 shots of all classes, base branch (decision O26), the last epoch; PromptSRC and MMRL in
# the few-shot settings of FVG-PT's configs, the others with their usual settings
_base_ = './base_to_new.py'
title = 'Few-shot classification'
_late = dict(  # prompts averaged around epoch 45 of 50
    stage1={
        'default_hooks.prompt_aggregation.mean': 45,
        'default_hooks.prompt_aggregation.std': 5,
    }
)
tuners = dict(
    _delete_=True,
    coop={},
    kgcoop={},
    promptsrc=dict(
        options={
            'train_cfg.max_epochs': 50,
            'train_dataloader.batch_size': 8,
            'optim_wrapper.optimizer.lr': 0.005,
        },
        stage1={
            'default_hooks.prompt_aggregation.mean': 30,
            'default_hooks.prompt_aggregation.std': 30,
        },
        datasets=dict(
            stanford_cars=_late, oxford_flowers=_late, fgvc_aircraft=_late, dtd=_late, eurosat=_late
        ),
    ),
    mmrl=dict(
        options={'train_cfg.max_epochs': 50, 'train_dataloader.batch_size': 32},
        stage1={'model.reg_weight': 0.5},
    ),
)
options = {'train_dataloader.dataset.subset': 'all'}
variants = {
    f'{shots} shot{"s" if shots > 1 else ""}': dict(options=dict(num_shots=shots))
    for shots in (1, 2, 4, 8, 16)
}
evaluate = dict(all={})
columns = ['all']
