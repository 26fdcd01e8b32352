# CLIP with a hand-written prompt
clip = dict(type='FrozenCLIP', name='ViT-B-16', pretrained='openai')
model = dict(type='ZeroShotCLIP', clip=clip)
