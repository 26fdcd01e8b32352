# TaskRes; num_classes is the number of classes that are trained on
clip = dict(type='FrozenCLIP', name='ViT-B-16', pretrained='openai')
model = dict(type='TaskRes', clip=clip, num_classes=20)
