# FVG-PT's MMRL: the regularisation weight is 1 for every data set
clip = dict(type='FrozenCLIP', name='ViT-B-16', pretrained='openai')
model = dict(
    type='MMRL',
    clip=clip,
    layers=[6, 7, 8, 9, 10, 11, 12],
    n_tokens=5,
    rep_dim=512,
    alpha=0.7,
    reg_weight=1.0,
)
