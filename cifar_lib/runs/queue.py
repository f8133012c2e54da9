"""Record runs, shared among any number of processes: each run is trained once."""

import enum
import json
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from safetensors.torch import save_model

from .. import CourseError, data
from ..data import Dataset
from ..recipes import Recipe
from ..system import distributed
from ..system.files import acquire, atomic_write, explain_os_error, remove, remove_left_behind
from ..training import Callback, RunKey, train
from .predictions import save_labels, save_predictions
from .record import (
    PREDICTIONS,
    WEIGHTS,
    Run,
    as_record,
    labels_file,
    load_record,
    new_records_folder,
    record_file,
)
from .replay import as_run, check_evaluation, checkpoint_file, evaluated_anew


class Claim(enum.Enum):
    """Whose a run is."""

    MINE = "it is trained by this process"
    DONE = "it is recorded already"
    BUSY = "another process is at it"


def _print(text: object, event: str | None = None, **fields: Any) -> None:
    """Print a text; the event and its fields are for programs."""
    print(text, flush=True)


def record_all(
    wanted: Iterable[tuple[Recipe, int]],
    *,
    folder: Path | str | None = None,
    device: str | None = None,
    keep_weights: bool = False,
    renew: bool = False,
    progress: bool | Iterable[Callback] = True,
    say: Callable[..., None] = _print,
) -> None:
    """Record runs, given as (recipe, seed), one after the other, and say what happens.

    Two rounds: what another process is at is left to it, and waited for only at the end. A run that
    fails does not keep the others from being recorded.

    Args:
        folder, device, keep_weights, renew, progress: as in `train_and_record`.
        say: is called with each text, the name of the event that it tells of, and the event's fields; by
            default it prints the text.

    Raises:
        CourseError: some runs could not be recorded; it names them.
    """
    folder = _renewed_in(folder, renew)
    place = folder or new_records_folder()
    say(f"New records go to {place}.")
    failed = []
    for wait in (False, True):
        left = []
        for recipe, seed in wanted:
            one = {"recipe": recipe.name, "seed": seed}
            say(f"{recipe.name}, seed {seed}", "start", recipe=recipe.as_dict(), seed=seed, folder=str(place))
            try:
                claim = train_and_record(
                    recipe,
                    seed,
                    folder=folder,
                    device=device,
                    keep_weights=keep_weights,
                    renew=renew,
                    progress=progress,
                    wait=wait,
                )
            except CourseError as error:
                if distributed.world_size() > 1:
                    raise  # the other processes may be in the middle of this run
                say(f"  {error}", "failed", **one, reason=str(error))
                failed.append(f"{recipe.name} seed {seed}")
                continue
            if claim is Claim.BUSY:
                left.append((recipe, seed))
                say(f"  {claim.value}", "busy", **one)
            else:
                path = record_file(recipe.name, seed, folder)
                kept = _kept(path, claim)
                one |= {"result": kept.result, "trained_now": not kept.replayed, "file": str(path)}
                say(kept, "recorded", **one)
                if keep_weights and not path.with_suffix(WEIGHTS).exists():
                    say(f"  It was recorded before without its weights: move {path} away to record them too.")
        wanted = left
    if failed:
        raise CourseError(f"These runs were not recorded, for the reasons above: {', '.join(failed)}.")


def train_and_record(
    recipe: Recipe,
    seed: int,
    *,
    folder: Path | str | None = None,
    device: str | None = None,
    keep_weights: bool = False,
    renew: bool = False,
    progress: bool | Iterable[Callback] = True,
    wait: bool = True,
    compiled: bool = False,
    dataset: Dataset | None = None,
) -> Claim:
    """Train a recipe and write its record and its predictions. What is recorded already is left alone.

    A recording that was killed goes on where it stopped, because a checkpoint per epoch lies in the cache
    folder. A lock file beside the record keeps two processes from the same run.

    Args:
        folder: where the files go; by default `record.new_records_folder()`.
        keep_weights: write the trained weights beside them.
        renew: replace a record that has no predictions, as those of earlier versions. Where its weights
            were kept they are evaluated anew, else the recipe is trained again.
        progress, compiled: as in `training.train`.
        wait: whether to wait while another process is at this run; else it is `Claim.BUSY` at once.
        dataset: the images, when they are at hand; loaded when training needs them. Images of your own may
            have another name than the recipe's `data`; the record keeps theirs.

    Returns:
        `Claim.MINE` if it was trained by this call, `Claim.DONE` if it was recorded already.

    Raises:
        CourseError: see `training.train`; or the file cannot be written.
    """
    path = record_file(recipe.name, seed, _renewed_in(folder, renew))
    lock = FileLock(path.with_suffix(".lock"))
    try:
        # Of several processes that train as one, the first holds the lock and tells what all do.
        claim = distributed.on_first(lambda: _claim(recipe, path, lock, wait, renew))
        if claim is Claim.MINE:
            dataset = dataset if dataset is not None else data.load(recipe.data)
            check_evaluation(dataset)
            if path.exists() and path.with_suffix(WEIGHTS).exists():
                done = evaluated_anew(load_record(path), dataset)
            else:
                done = _trained(recipe, dataset, seed, device, progress, compiled)
            _write(done, dataset, path, keep_weights)
        if distributed.rank() == 0 and (lock.is_locked or claim is Claim.MINE):
            _finish(recipe, path, lock)
    finally:
        lock.release()
    return claim


def _renewed_in(folder, renew):
    """The folder, by default one of the user's own: a record of an installed package stays as it is."""
    return new_records_folder() if renew and folder is None else folder


def train_and_keep(
    recipe: Recipe,
    dataset: Dataset,
    seed: int,
    *,
    folder: Path | str,
    device: str | None = None,
    progress: bool | Iterable[Callback] = True,
    compiled: bool = False,
) -> tuple[Run, bool]:
    """Train a recipe and keep the run with its weights; one that is there already is read instead.

    Args:
        folder, device, progress, compiled: as in `train_and_record`.

    Returns:
        The run as it was kept, and whether it was trained by this call.

    Raises:
        CourseError: as in `train_and_record`; or the folder has this run of other training or test images.
    """
    claim = train_and_record(
        recipe,
        seed,
        folder=folder,
        device=device,
        keep_weights=True,
        progress=progress,
        compiled=compiled,
        dataset=dataset,
    )
    path = record_file(recipe.name, seed, folder)
    kept = _kept(path, claim)
    if not kept.is_on(dataset):
        raise CourseError(
            f"{path} was trained or evaluated on other images than those found here: move it away, or take "
            f"another folder."
        )
    return kept, not kept.replayed


def _kept(path, claim):
    """The run that a record holds, which counts as replayed unless it has just been trained."""
    kept = distributed.on_first(partial(load_record, path))
    kept.replayed = claim is not Claim.MINE  # it was read from its file in either case
    return kept


def _claim(recipe, path, lock, wait, renew):
    """Whose the run is; while it is `Claim.MINE` the lock is held."""
    try:
        if path.exists() and not Path(lock.lock_file).exists() and _is_done(recipe, path, renew):
            return Claim.DONE
        path.parent.mkdir(parents=True, exist_ok=True)
        acquire(lock, blocking=wait)
    except Timeout:
        return Claim.BUSY
    except OSError as error:
        raise CourseError(explain_os_error(error, path)) from None
    except ValueError:  # a byte that no path may hold
        raise CourseError(f"{str(path)!r} cannot be the name of a file: choose another folder.") from None
    # Another process may have been quicker.
    return Claim.DONE if path.exists() and _is_done(recipe, path, renew) else Claim.MINE


def _is_done(recipe, path, renew):
    _load_record_of(recipe, path)
    return not renew or path.with_suffix(PREDICTIONS).exists()


def _trained(recipe, dataset, seed, device, progress, compiled):
    checkpoint = checkpoint_file(RunKey(recipe, dataset.key, seed))
    trained = train(
        recipe, dataset, seed, device=device, checkpoint=checkpoint, progress=progress, compiled=compiled
    )
    return as_run(recipe, dataset, seed, trained)


def _write(done, dataset, path, keep_weights):
    """Write labels, weights, predictions and record; the record last, because it says that all is there."""
    if distributed.rank() > 0:
        return
    labels = labels_file(dataset.name, path.parent)
    if not labels.exists():
        held = {"val": data.split(dataset.train)[1].labels, "test": dataset.test.labels}
        save_labels(labels, held, {"data": labels.name.partition(".")[0]})
    # Weights that an earlier run of this name left would be taken for this one's.
    if keep_weights or path.with_suffix(WEIGHTS).exists():
        with atomic_write(path.with_suffix(WEIGHTS)) as aside:
            save_model(done.network(), str(aside))
    notes = {"recipe": done.recipe.name, "seed": str(done.seed), "images": done.data["test_fingerprint"]}
    save_predictions(path.with_suffix(PREDICTIONS), done.all_predictions(), notes)
    with atomic_write(path) as aside:
        aside.write_text(json.dumps(as_record(done), indent=1) + "\n", encoding="utf-8")


def _finish(recipe, path, lock):
    """Remove what nobody needs once the record is there: checkpoint, leavings, the lock and its file."""
    checkpoint = checkpoint_file(_load_record_of(recipe, path).key)
    remove(checkpoint)
    for written in (checkpoint, path.with_suffix(WEIGHTS), path.with_suffix(PREDICTIONS), path):
        remove_left_behind(written)
    # Whoever waits for a lock file that is gone may hold it beside the holder of a new one. Both find
    # the record, so the file goes only once that is there. It is released first, because Windows removes no
    # file that is open.
    lock.release()
    remove(lock.lock_file)


def _load_record_of(recipe, path):
    kept = load_record(path)
    if kept.recipe != recipe:
        raise CourseError(f"{path} holds another recipe of that name: move it away first.")
    return kept
