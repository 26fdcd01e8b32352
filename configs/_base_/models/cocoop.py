# CoCoOp
clip = dict(type='FrozenCLIP', name='ViT-B-16', pretrained='openai')
model = dict(type='CoCoOp', clip=clip, ctx_init='a photo of a')
