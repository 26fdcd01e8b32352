# CLIP-Adapter, a fifth of the adapted image feature
clip = dict(type='FrozenCLIP', name='ViT-B-16', pretrained='openai')
model = dict(type='CLIPAdapter', clip=clip, ratio=0.2)
