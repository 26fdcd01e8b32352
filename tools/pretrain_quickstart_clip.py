"""Pretrain the small embedded CLIP on captioned images of the quickstart world.

    python tools/pretrain_quickstart_clip.py --work-dir work_dirs/quickstart_clip

Contrastive pretraining with open_clip's model, tokenizer and ClipLoss; half of the patches are
dropped during most of the run, as in FLIP (Li et al., CVPR 2023). Then it prints the zero-shot
accuracy on the task, whose compositions were not in the training images. A run that was stopped
continues if it is started again. The weights are written in float16 next to the model's open_clip
configuration.
"""

import argparse
import gzip
import json
import math
import multiprocessing
import os
import time
from functools import partial
from pathlib import Path

from fvgpt.clip import QUICKSTART_CLIP  # first: it makes torchvision importable
from fvgpt.quickstart import world
from fvgpt.quickstart.scene import SIZE

# isort: split
import numpy as np
import open_clip
import torch
from safetensors.torch import save_file

POOL_CHUNK = 1000


def write_tokenizer(path: Path, vocab_size: int) -> None:
    """Write the beginning of CLIP's BPE merges as a tokenizer.

    The vocabulary consists of 512 byte tokens, 2 special tokens and the merges.
    """
    with gzip.open(open_clip.tokenizer.default_bpe()) as file:
        lines = file.read().decode().split('\n')
    text = '\n'.join(lines[: 1 + vocab_size - 512 - 2])
    with gzip.GzipFile(path, 'wb', mtime=0) as file:
        file.write(text.encode())


def draw_chunk(task):
    """Draw one chunk of the image pool unless its file exists; a file that exists is complete."""
    folder, seed, chunk = task
    path = folder / f'pool_{seed}_{chunk:04d}.npz'
    if not path.exists():
        pairs = [world.pretraining_pair(seed, chunk * POOL_CHUNK + i) for i in range(POOL_CHUNK)]
        unfinished = path.with_suffix('.partial')
        with open(unfinished, 'wb') as file:
            np.savez(
                file,
                images=np.stack([p[0] for p in pairs]),
                captions=np.array([p[1] for p in pairs]),
            )
        os.replace(unfinished, path)
    return path


def load_pool(folder: Path, seed: int, size: int):
    """Images (N, 64, 64, 3) uint8 RGB and captions of the pool, N = ``size``."""
    tasks = [(folder, seed, c) for c in range(size // POOL_CHUNK)]
    paths, start = [], time.time()
    with multiprocessing.Pool() as pool:
        for path in pool.imap(draw_chunk, tasks):
            paths.append(path)
            if len(paths) % 5 == 0:
                left = (time.time() - start) / len(paths) * (len(tasks) - len(paths))
                print(
                    f'drawing images: {len(paths) * POOL_CHUNK}/{size}, eta {left:.0f} s',
                    flush=True,
                )
    images = np.empty((size, SIZE, SIZE, 3), np.uint8)
    captions = []
    for i, path in enumerate(paths):
        with np.load(path) as file:
            images[i * POOL_CHUNK : (i + 1) * POOL_CHUNK] = file['images']
            captions.extend(file['captions'].tolist())
    return images, captions


def encode_text(model, tokens):
    """open_clip's encode_text, cut to the longest caption of the batch.

    The text tower is causal, so the features are the same.

    Args:
        model: an open_clip model.
        tokens: (B, L).

    Returns:
        Normalised features (B, D).
    """
    length = int(tokens.argmax(-1).max()) + 1
    tokens = tokens[:, :length]
    x = model.token_embedding(tokens) + model.positional_embedding[:length]
    x = model.ln_final(model.transformer(x, attn_mask=model.attn_mask[:length, :length]))
    x = x[torch.arange(len(x)), tokens.argmax(-1)] @ model.text_projection
    return torch.nn.functional.normalize(x, dim=-1)


@torch.no_grad()
def zero_shot(model, tokenizer, normalize, per_class: int):
    """Zero-shot accuracy in percent on the base classes, the new classes and all classes.

    With the plain prompt, and with a prompt that names the light of the task.
    """
    model.eval()
    samples = list(world.task_samples('test', per_class, 0.0, 'exact'))
    images = np.stack([s[1] for s in samples])
    labels = torch.tensor([s[0] for s in samples])
    features = torch.cat(
        [
            model.encode_image(normalize(images[i : i + 200]), normalize=True)
            for i in range(0, len(images), 200)
        ]
    )
    half, accuracy = len(world.TASK) // 2, {}
    for prompt in ('a photo of a {}.', 'a photo of a {} ' + world.TASK_LIGHT + '.'):
        logits = (
            features @ encode_text(model, tokenizer([prompt.format(c.name) for c in world.TASK])).T
        )
        for subset, first, last in (
            ('base', 0, half),
            ('new', half, 2 * half),
            ('all', 0, 2 * half),
        ):
            rows = (labels >= first) & (labels < last)
            hits = logits[rows, first:last].argmax(1) + first == labels[rows]
            accuracy[f'{subset}, "{prompt}"'] = round(100 * float(hits.float().mean()), 1)
    model.train()
    return accuracy


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/quickstart_clip'))
    parser.add_argument(
        '--out',
        type=Path,
        default=QUICKSTART_CLIP,
        help='folder with open_clip_config.json, to which weights and tokenizer are written',
    )
    parser.add_argument('--pool', type=int, default=80_000, help='number of different images')
    parser.add_argument('--steps', type=int, default=2600)
    parser.add_argument(
        '--full-steps', type=int, default=500, help='number of last steps, which use all patches'
    )
    parser.add_argument('--batch-size', type=int, default=128)
    parser.add_argument('--lr', type=float, default=1e-3)
    parser.add_argument(
        '--test-per-class', type=int, default=30, help='images of each class in the zero-shot test'
    )
    parser.add_argument('--seed', type=int, default=0)
    return parser.parse_args()


def make_optimizer(model, args):
    """AdamW without weight decay of biases and scales; schedule: 200 steps of warm-up, cosine."""
    decay = [p for p in model.parameters() if p.ndim >= 2]
    rest = [p for p in model.parameters() if p.ndim < 2]
    optimizer = torch.optim.AdamW(
        [dict(params=decay, weight_decay=0.1), dict(params=rest, weight_decay=0.0)],
        lr=args.lr,
        betas=(0.9, 0.98),
        eps=1e-6,
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda s: min(1, (s + 1) / 200) * 0.5 * (1 + math.cos(math.pi * s / args.steps))
    )
    return optimizer, schedule


def draw_batch(images, step: int, args):
    """Indices (B,) of a step's images in the pool, and the images (B, 64, 64, 3), half mirrored."""
    per_epoch = args.pool // args.batch_size
    order = np.random.default_rng([args.seed, step // per_epoch]).permutation(args.pool)
    rows = np.sort(order[step % per_epoch * args.batch_size :][: args.batch_size])
    batch = images[rows]
    flip = np.random.default_rng([args.seed, 1, step]).random(len(batch)) < 0.5
    batch[flip] = batch[flip, :, ::-1]
    return rows, batch


def train(model, images, tokens, normalize, evaluate, args) -> None:
    """Train, from the checkpoint in the work dir if there is one.

    Args:
        model: the CLIP to train.
        images: (N, 64, 64, 3) uint8.
        tokens: captions (N, L).
        normalize: makes the model's input from a batch of images.
        evaluate: called before each checkpoint; its result is printed.
        args: options of the command line.
    """
    optimizer, schedule = make_optimizer(model, args)
    parts = dict(model=model, optimizer=optimizer, schedule=schedule)
    contrast = open_clip.ClipLoss()
    checkpoint, first = args.work_dir / 'last.pt', 0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        for name, part in parts.items():
            part.load_state_dict(state[name])
        first = state['step']
    start, running = time.time(), 0.0
    for step in range(first, args.steps):
        rows, batch = draw_batch(images, step, args)
        model.visual.patch_dropout.prob = 0.5 if step < args.steps - args.full_steps else 0.0
        with torch.autocast('cpu', torch.bfloat16):
            image_features = model.encode_image(normalize(batch), normalize=True)
            text_features = encode_text(model, tokens[torch.from_numpy(rows)])
        loss = contrast(image_features.float(), text_features.float(), model.logit_scale.exp())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        model.logit_scale.data.clamp_(0, math.log(100))
        running += float(loss.detach())
        if (step + 1) % 100 == 0 or step + 1 == args.steps:
            done = step + 1 - first
            seconds = time.time() - start
            eta = seconds / done * (args.steps - step - 1)
            print(
                f'step {step + 1}/{args.steps} loss {running / min(100, done):.3f} '
                f'{args.batch_size * done / seconds:.0f} images/s eta {eta / 60:.1f} min',
                flush=True,
            )
            running = 0.0
        if (step + 1) % 500 == 0 or step + 1 == args.steps:
            print('zero-shot', evaluate(), flush=True)
            unfinished = checkpoint.with_suffix('.partial')
            torch.save(
                dict({name: part.state_dict() for name, part in parts.items()}, step=step + 1),
                unfinished,
            )
            os.replace(unfinished, checkpoint)


def main():
    args = parse_args()
    args.work_dir.mkdir(parents=True, exist_ok=True)
    config = json.loads((args.out / 'open_clip_config.json').read_text())
    write_tokenizer(args.out / 'bpe.txt.gz', config['model_cfg']['text_cfg']['vocab_size'])
    tokenizer = open_clip.get_tokenizer(
        f'local-dir:{args.out}', bpe_path=str(args.out / 'bpe.txt.gz')
    )
    images, captions = load_pool(args.work_dir, args.seed, args.pool)
    mean, std = (torch.tensor(config['preprocess_cfg'][k]).view(3, 1, 1) for k in ('mean', 'std'))

    def normalize(batch):
        return (torch.from_numpy(batch).permute(0, 3, 1, 2) / 255 - mean) / std

    torch.manual_seed(args.seed)
    model = open_clip.create_model(
        f'local-dir:{args.out}', load_weights=False, force_patch_dropout=0.5
    )
    evaluate = partial(zero_shot, model, tokenizer, normalize, args.test_per_class)
    train(model, images, tokenizer(captions), normalize, evaluate, args)
    print(f'learned logit scale {float(model.logit_scale.exp().detach()):.2f}')
    state = {k: v.half().contiguous() for k, v in model.state_dict().items()}
    save_file(state, args.out / 'open_clip_model.safetensors')
    print(f'wrote {args.out}: zero-shot', evaluate(), flush=True)


if __name__ == '__main__':
    main()
