# PromptSRC, 4 + 4 prompts in nine layers
clip = dict(type='FrozenCLIP', name='ViT-B-16', pretrained='openai')
model = dict(
    type='PromptSRC',
    clip=clip,
    n_ctx=4,
    n_ctx_vision=4,
    depth_text=9,
    depth_vision=9,
    text_weight=25.0,
    image_weight=10.0,
)
