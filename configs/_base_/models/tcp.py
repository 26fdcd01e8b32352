# TCP: class-aware tokens before block 8
clip = dict(type='FrozenCLIP', name='ViT-B-16', pretrained='openai')
model = dict(type='TCP', clip=clip, ctx_init='a photo of a', weight=8.0, layer=8)
