"""From images on disk or a mirror to batches on the device."""

from .augmentation import Augmentation, augment, draw_shifts
from .batching import batches, epoch_seed, normalize, split
from .generated import GENERATORS
from .images import Dataset, Images, fingerprint
from .loading import cache_folder, data_folder, load, prepared_file
from .photographs import photograph, photographs_in
from .specs import SPECS
from .upload import UploadButton
from .variants import (
    VARIANTS,
    colour_noise,
    grey,
    resize,
    scale_randomly,
    shift,
    shift_randomly,
    shuffle_labels,
    shuffle_pixels,
)
from .whereabouts import at_hand, whereabouts

__all__ = [
    "GENERATORS",
    "SPECS",
    "VARIANTS",
    "Augmentation",
    "Dataset",
    "Images",
    "UploadButton",
    "at_hand",
    "augment",
    "batches",
    "cache_folder",
    "colour_noise",
    "data_folder",
    "draw_shifts",
    "epoch_seed",
    "fingerprint",
    "grey",
    "load",
    "normalize",
    "photograph",
    "photographs_in",
    "prepared_file",
    "resize",
    "scale_randomly",
    "shift",
    "shift_randomly",
    "shuffle_labels",
    "shuffle_pixels",
    "split",
    "whereabouts",
]
