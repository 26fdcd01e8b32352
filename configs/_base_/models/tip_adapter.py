# Tip-Adapter; cache_size is the number of training images
clip = dict(type='FrozenCLIP', name='ViT-B-16', pretrained='openai')
model = dict(type='TipAdapter', clip=clip, cache_size=320, alpha=1.0, beta=5.5)
