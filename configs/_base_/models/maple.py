# MaPLe, 2 prompts in nine layers
clip = dict(type='FrozenCLIP', name='ViT-B-16', pretrained='openai')
model = dict(type='MaPLe', clip=clip, n_ctx=2, depth=9)
