# IVLP, 2 + 2 prompts in nine layers
clip = dict(type='FrozenCLIP', name='ViT-B-16', pretrained='openai')
model = dict(type='IVLP', clip=clip, n_ctx=2, n_ctx_vision=2, depth_text=9, depth_vision=9)
