# FVG-PT's CoOp: four context tokens, random start, shared by all classes
clip = dict(type='FrozenCLIP', name='ViT-B-16', pretrained='openai')
model = dict(type='CoOp', clip=clip, n_ctx=4)
