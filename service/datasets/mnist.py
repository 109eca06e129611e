"""MNIST (LeCun, Cortes, Burges) and Fashion-MNIST (Xiao, Rasul, Vollgraf, arXiv 1708.07747): 28×28 grey pixels."""

from pathlib import Path

from service.datasets.idx import read_idx_pair
from service.datasets.publication import Dataset, Part, PublishedFile
from service.datasets.split import Split

STEMS: dict[Part, str] = {"train": "train", "test": "t10k"}


def _read(folder: Path, part: Part) -> Split:
    stem = STEMS[part]
    return read_idx_pair(folder / f"{stem}-images-idx3-ubyte.gz", folder / f"{stem}-labels-idx1-ubyte.gz")


def _publication(name: str, address: str, md5: dict[str, str]) -> Dataset:
    files = tuple(PublishedFile(name=file, url=f"{address}/{file}", md5=digest) for file, digest in md5.items())
    return Dataset(name=name, classes=10, files=files, read=_read)


# Addresses and md5 as in torchvision/datasets/mnist.py; LeCun's own page no longer hands the files out.
MNIST = _publication(
    "mnist",
    "https://ossci-datasets.s3.amazonaws.com/mnist",
    {
        "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
        "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
        "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
    },
)

# Address and md5 as in the table of github.com/zalandoresearch/fashion-mnist's README.
FASHION_MNIST = _publication(
    "fashion-mnist",
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
    {
        "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
        "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
        "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
    },
)
