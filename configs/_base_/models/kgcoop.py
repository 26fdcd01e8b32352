# FVG-PT's KgCoOp: W = 2, context from "a photo of a"; the original has weight=8
clip = dict(type='FrozenCLIP', name='ViT-B-16', pretrained='openai')
model = dict(type='KgCoOp', clip=clip, n_ctx=4, ctx_init='a photo of a', weight=2.0)
