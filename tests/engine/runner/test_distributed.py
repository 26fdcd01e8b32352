"""Several processes (gloo) give the gradients and the metrics of one."""

from pathlib import Path

import pytest
import torch
from mmengine.dataset import DefaultSampler
from mmengine.model import MMDistributedDataParallel
from mmpretrain.structures import DataSample
from torch.utils.data import DataLoader

from fvgpt.evaluation import SubsetAccuracy
from fvgpt.losses import ReliabilityLoss

from ...conftest import ROOT, free_port, run_tool
from ...foreground.test_fvgpt import build
from ...tuners.test_tuners import BUILDERS, NAMES
from ...warm_python import context

BATCH = 8
TRAINED = sorted(set(BUILDERS) - {'zero_shot'})


def in_processes(world_size: int, function, folder: Path, *arguments) -> list:
    """Results of ``function(rank, world_size, *arguments)`` in each process of a group."""
    processes = [
        context.Process(target=_run, args=(rank, world_size, folder, function, *arguments))
        for rank in range(world_size)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(240)
        assert process.exitcode == 0
    return [
        torch.load(folder / f'{world_size}_{rank}.pt', weights_only=True)
        for rank in range(world_size)
    ]


def _run(rank, world_size, folder, function, *arguments):
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{folder}/store_{world_size}', rank=rank, world_size=world_size
    )
    torch.save(function(rank, world_size, *arguments), folder / f'{world_size}_{rank}.pt')
    # not destroy_process_group: torch 2.6 may hang in it; the group ends with its processes
    torch.distributed.barrier()


def global_batch():
    """Images with masks, of which the first half of the batch has mostly unusable ones."""
    generator = torch.Generator().manual_seed(4)
    images = torch.randn(BATCH, 3, 32, 32, generator=generator)
    samples = []
    for i in range(BATCH):
        mask = torch.zeros(32, 32, dtype=torch.uint8)
        mask[: i if i > 3 or i == 1 else 0, 4:28] = 1
        samples.append(DataSample().set_gt_label(i % 3))
        samples[-1].set_mask(mask)
    return images, samples


def gradients(rank, world_size, models):
    """Gradients of all models on this rank's share of the batch, averaged over the ranks."""
    images, samples = global_batch()
    found = {}
    for name, model in models.items():
        wrapped = (
            MMDistributedDataParallel(model, device_ids=None, broadcast_buffers=False)
            if world_size > 1
            else model
        )
        terms = wrapped(images[rank::world_size], samples[rank::world_size], mode='loss')
        sum(value for key, value in terms.items() if 'loss' in key).backward()
        found[name] = {
            key: p.grad.clone() for key, p in model.named_parameters() if p.grad is not None
        }
    return found


def test_gradients_of_every_method_are_those_of_one_process(random_clip, tmp_path):
    models = {}
    for name in TRAINED:
        torch.manual_seed(1)
        models[name] = BUILDERS[name](random_clip).train()
        models[name].set_class_names(NAMES)
    # away from zero-shot CLIP, where the direction that it compares with would be rounding errors
    models['prograd'].ctx.data += 0.1 * torch.randn_like(models['prograd'].ctx)
    torch.manual_seed(1)
    models['fvgpt'] = build(BUILDERS['coop'](random_clip)).train()
    (one,) = in_processes(1, gradients, tmp_path, models)
    assert all(any(g.abs().max() > 0 for g in found.values()) for found in one.values())
    for world_size in (2, 4):
        for rank in in_processes(world_size, gradients, tmp_path, models):
            for name, expected in one.items():
                largest = max(g.abs().max() for g in expected.values())
                for key, gradient in expected.items():
                    difference = (rank[name][key] - gradient).abs().max()
                    assert difference <= 2e-5 * largest, (
                        f'{world_size} processes, {name}, {key}: {difference} of {largest}'
                    )


def metrics(rank, world_size, images):
    scores = torch.rand(images, 5, generator=torch.Generator().manual_seed(0))
    sampler = DefaultSampler(range(images), shuffle=False)
    metric = SubsetAccuracy()
    metric.dataset_meta = dict(subset='all', classes=list('abcde'), halves=True)
    for batch in DataLoader(range(images), 3, sampler=sampler, collate_fn=list):
        samples = [DataSample().set_gt_label(i * i % 5).set_pred_score(scores[i]) for i in batch]
        metric.process(
            None, [dict(sample.to_dict(), pred_score=sample.pred_score) for sample in samples]
        )
    return metric.evaluate(images)


@pytest.mark.parametrize('images', [1, 7, 12])
def test_metrics_count_every_image_once(images, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    one = in_processes(1, metrics, tmp_path, images)[0]
    assert one
    for world_size in (2, 4):
        assert in_processes(world_size, metrics, tmp_path, images) == [one] * world_size
    assert not (tmp_path / '.dist_test').exists()  # no shared folder is needed


def reliability(rank, world_size):
    loss, here = ReliabilityLoss(), slice(rank, None, world_size)
    z = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(0))
    valid = torch.tensor(
        [False, True, False, False]
    )  # of two processes one has none, of four three
    logit = torch.ones(4, requires_grad=True)
    loss(
        logit[here], z[0][here], z[1][here], torch.tensor([0, 1, 2, 0])[here], valid[here]
    ).backward()
    torch.distributed.all_reduce(logit.grad)
    return logit.grad / world_size


def test_unusable_masks_weigh_alike_wherever_they_are(tmp_path):
    (one,) = in_processes(1, reliability, tmp_path)
    assert one.count_nonzero() == 1
    for world_size in (2, 4):
        for gradient in in_processes(world_size, reliability, tmp_path):
            torch.testing.assert_close(gradient, one)


# ------------------------------------------------------------------ one process fails
FAILING = """
import os
from mmengine.hooks import Hook
from fvgpt.registry import HOOKS

@HOOKS.register_module()
class FailingHook(Hook):
    def after_train_iter(self, runner, batch_idx, **kwargs):
        if os.environ['RANK'] == '1' and batch_idx == 1:
            raise ValueError('the second step of process 1 failed')
"""


def test_a_process_that_fails_ends_all_with_its_error(tmp_path):
    (tmp_path / 'failing.py').write_text(FAILING)
    (tmp_path / 'recipe.py').write_text(
        f'_base_ = {str(ROOT / "configs/fvgpt/coop_quickstart.py")!r}\n'
        "custom_imports = dict(imports=['fvgpt', 'failing'])\n"
        "default_hooks = dict(failing=dict(type='FailingHook'))\n"
        f'data_root = {str(tmp_path / "data")!r}\nnum_shots = 1\n'
        'train_dataloader = dict(dataset=dict(test_per_class=1))\n'
        'test_dataloader = dict(dataset=dict(test_per_class=1))'
    )
    done = run_tool(
        'bash',
        'tools/dist_train.sh',
        tmp_path / 'recipe.py',
        2,
        '--work-dir',
        tmp_path / 'run',
        env=dict(PORT=str(free_port()), PYTHONPATH=str(tmp_path), OMP_NUM_THREADS='1'),
        timeout=200,
    )
    assert done.returncode != 0
    assert 'ValueError: the second step of process 1 failed' in done.stderr
    assert not (tmp_path / 'run' / 'results.json').exists()
