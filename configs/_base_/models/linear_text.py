# One linear map of the text features
clip = dict(type='FrozenCLIP', name='ViT-B-16', pretrained='openai')
model = dict(type='LinearText', clip=clip)
