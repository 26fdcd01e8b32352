"""The Runner of this project's recipes."""

from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Union

import torch
from mmengine.config import Config
from mmengine.dist import barrier, is_main_process
from mmengine.logging import MessageHub, MMLogger, print_log
from mmengine.registry import DefaultScope
from mmengine.runner import Runner

from ...evaluation.results import nested_results, results_table
from ...io.json_file import write_json
from ...registry import RUNNERS
from ...tuners.checkpoint import read_checkpoint
from ...tuners.classifier import tuner_of, unwrapped
from ..hooks.random_state import random_state, set_random_state
from .check_types import check_config
from .config_parts import PARTS
from .distributed import prepare_distributed
from .folds import TrainingFolds, check_fold_checkpoints, leave_out_fold, training_folds
from .inputs import check_inputs
from .resolve import resolve
from .resume import check_settings, newest_checkpoint, recipe_hash
from .run_lock import claimed, run_lock
from .stage_one import fold_configs, tuner_checkpoint, tuner_config


@RUNNERS.register_module()
class PromptTuningRunner(Runner):
    """MMEngine's Runner for recipes of prompt tuners and of FVG-PT.

    ``runner_type = 'PromptTuningRunner'`` in a recipe makes every command that builds its Runner by
    ``RUNNERS.build`` (mmpretrain's, MIM's, ours) give the same run:

    - :meth:`from_cfg` resolves the recipe (:func:`~.resolve.resolve`) and checks it, its inputs and
      its checkpoints.
    - :meth:`train` locks the work dir against other runs, continues from the newest complete
      checkpoint there if ``resume`` is set, and runs stage 1 (``tuner_recipe``) unless the tuner
      has a checkpoint (``model.backbone_checkpoint``, ``load_from``, or a finished stage 1 in
      ``<work_dir>/tuner``). With ``model.calibration_folds=K`` it also runs stage 1 once without
      each of K folds of the images, unless there are ``model.fold_checkpoints`` or finished runs in
      ``<work_dir>/tuner_fold1ofK`` and so on.
    - :meth:`test` prints the table and writes ``<work_dir>/results.json``.

    The arguments are those of MMEngine's Runner.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._lock = run_lock(self.work_dir)
        self._checked_parts: List[str] = []
        self._folds: Optional[TrainingFolds] = None

    @classmethod
    def from_cfg(cls, cfg: Union[Config, dict]) -> 'PromptTuningRunner':
        """Build the Runner of a recipe.

        A recipe with a checkpoint (``load_from`` without ``resume``) may be used for testing only.
        Its training images are therefore not checked before :meth:`train`.

        Raises:
            UserError: a key, a file or a checkpoint is wrong. This is raised before any long work
                starts.
        """
        config = resolve(cfg if isinstance(cfg, Config) else Config(cfg))
        check_config(config)
        leave_out_fold(config)
        config.recipe_hash = recipe_hash(config)
        begins_with = config.get('load_from')
        parts = ['test'] if begins_with and not config.get('resume') else list(PARTS)
        check_inputs(config, parts)
        folds = None
        if 'train' in parts and config.get('train_cfg'):
            tuner = tuner_config(config)
            if tuner is not None:
                check_config(tuner)
            fold_configs(config)
            folds = training_folds(config)
            if folds and config.model.get('fold_checkpoints'):
                check_fold_checkpoints(config.model.fold_checkpoints, folds)
            with claimed(config.work_dir):
                pass  # errors of the work dir are reported before anything is built
        for checkpoint in (begins_with, config.model.get('backbone_checkpoint')):
            if checkpoint:
                read_checkpoint(checkpoint)
        wrapper = prepare_distributed(config.get('launcher', 'none'))
        if wrapper:
            config.model_wrapper_cfg = wrapper
        runner = super().from_cfg(config)
        runner._checked_parts, runner._folds = parts, folds
        return runner

    def claimed(self) -> AbstractContextManager[None]:
        """Lock the work dir for training and test together; :meth:`train` alone does so itself."""
        return claimed(self.work_dir, self._lock)

    def train(self) -> torch.nn.Module:
        """Train both stages.

        Raises:
            UserError: another run uses the work dir, its content was made with other settings, or
                the input is wrong.
        """
        if 'train' not in self._checked_parts:
            check_inputs(self.cfg, ['train', 'val'])
        with self.claimed():
            if self._resume:
                self._choose_checkpoint()
            self._run_stage_one()
            return super().train()

    def test(self) -> Dict[str, float]:
        """Test, print the table and write ``results.json``.

        Returns:
            The metrics, ``{'fvgpt/base': 81.5, ...}``.
        """
        metrics = super().test()
        results = nested_results(metrics)
        if results and is_main_process():
            file = Path(self.work_dir) / 'results.json'
            write_json(file, results)
            tuner = type(tuner_of(unwrapped(self.model))).__name__
            print(f'\n{results_table(results, tuner)}\n\nwritten to {file}', flush=True)
        return metrics

    def _choose_checkpoint(self) -> None:
        """Set the checkpoint to resume from: ``load_from``, or the newest one in the work dir."""
        given: Optional[str] = vars(self)['_load_from']
        if given:
            check_settings(self.cfg, Path(given), read_checkpoint(given).get('meta', {}))
            return
        newest = newest_checkpoint(self.cfg, self.work_dir)
        self._load_from, self._resume = newest, newest is not None

    def _run_stage_one(self) -> None:
        """Run what is missing of stage 1, and load its parameters into the model."""
        model, tuner = unwrapped(self.model), tuner_config(self.cfg)
        of_folds, folds = fold_configs(self.cfg), self._folds or training_folds(self.cfg)
        if not self._resume and self._load_from:
            tuner = None  # the checkpoint has its parameters
        if tuner is not None:
            self.cfg.model.backbone_checkpoint = self._tuned(tuner)
            model.load_backbone(self.cfg.model.backbone_checkpoint)
        if folds is not None:
            if of_folds:
                self.cfg.model.fold_checkpoints = self._tune_folds(of_folds)
            check_fold_checkpoints(self.cfg.model.fold_checkpoints, folds)
            model.load_fold_tuners(self.cfg.model.fold_checkpoints, folds.folds)
        if tuner is not None or of_folds:
            self.dump_config()

    def _tune_folds(self, configs: List[Config]) -> List[str]:
        """Run the stages 1 that leave out a fold, unless they are done; returns the checkpoints."""
        missing = [config for config in configs if not tuner_checkpoint(config).is_file()]
        if missing:
            print_log(
                f'calibration_folds={len(configs)}: stage 1 runs again in '
                f'{" and ".join(config.work_dir for config in missing)}, each time without one of '
                f'{len(configs)} folds of the training images, so that PC learns from tuners that '
                'have not seen the image',
                'current',
            )
        return [self._tuned(config) for config in configs]

    def _tuned(self, config: Config) -> str:
        """Run a recipe of stage 1 unless it is done; returns its checkpoint."""
        final = tuner_checkpoint(config)
        if final.is_file():
            leave_out_fold(config)
            check_settings(config, final, read_checkpoint(str(final)).get('meta', {}))
            print_log(f'stage 1 is done: {final}', 'current')
        else:
            config.resume = bool(self.cfg.get('resume'))
            with self._keep_global_state():
                type(self).from_cfg(config).train()
            barrier()  # the main process writes it, all read it
        return str(final)

    @contextmanager
    def _keep_global_state(self) -> Iterator[None]:
        """Restore this Runner's global state after another Runner has been used.

        The state is the logger, message hub, visualizer, scope and random numbers. Stage 2 then
        gives the same result whether stage 1 ran in this process or earlier.
        """
        kinds = (DefaultScope, MMLogger, MessageHub, type(self.visualizer))
        instances = [kind._instance_dict.copy() for kind in kinds]
        numbers = random_state()
        try:
            yield
        finally:
            set_random_state(numbers)
            for kind, before in zip(kinds, instances):
                kind._instance_dict = before
