# ProGrad with four context tokens
clip = dict(type='FrozenCLIP', name='ViT-B-16', pretrained='openai')
model = dict(type='ProGrad', clip=clip, ctx_init='a photo of a', strength=1.0)
