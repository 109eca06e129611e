"""What papers report on the same data, as they print it, and where."""

from collections.abc import Iterable
from typing import NamedTuple

SOURCES = {
    "V1": "Srivastava et al., *VEEGAN*, NeurIPS 2017 (arXiv 1705.07761), table 1",
    "V2": "the same, table 2; its GAN is a DCGAN",
    "P1": "Lin et al., *PacGAN*, NeurIPS 2018 (arXiv 1712.04086), table 1: the authors' own runs",
    "P2": "the same, table 2: DCGANs whose generators have 4.5 million parameters, 50 epochs",
    "P3": "the same, table 3: discriminators of ¼ and ½ of the size in the Unrolled GAN's paper",
    "M": "Ghosh et al., *MAD-GAN*, CVPR 2018 (arXiv 1704.02906); second-hand, not compared with the paper's own table",
    "L": "Lucic et al., *Are GANs created equal?*, NeurIPS 2018 (arXiv 1711.10337): best means of a large search;"
    " second-hand, from a later paper's copy of the table",
}


class Published(NamedTuple):
    """One row of a paper's table: modes, good samples and reverse KL, or an FID, as printed."""

    system: str
    figures: str
    source: str

    def __str__(self) -> str:
        return f"{self.figures} [{self.source}]"


PUBLISHED: dict[str, tuple[Published, ...]] = {
    "ring": (
        Published("GAN", "1 / 99.3 %", "V1"),
        Published("Unrolled GAN", "7.6 / 35.6 %", "V1"),
        Published("ALI", "2.8 / 0.13 %", "V1"),
        Published("VEEGAN", "8 / 52.9 %", "V1"),
        Published("GAN", "6.3 ± 0.5 / 98.2 % / 0.45", "P1"),
        Published("ALI", "6.6 / 97.6 % / 0.36", "P1"),
        Published("PacGAN2", "7.9 / 95.6 % / 0.07", "P1"),
        Published("PacGAN3", "7.8 / 97.7 % / 0.10", "P1"),
        Published("PacGAN4", "7.8 / 95.9 % / 0.07", "P1"),
    ),
    "grid": (
        Published("GAN", "3.3 / 0.5 %", "V1"),
        Published("Unrolled GAN", "23.6 / 16 %", "V1"),
        Published("ALI", "15.8 / 1.6 %", "V1"),
        Published("VEEGAN", "24.6 / 40 %", "V1"),
        Published("GAN", "17.3 ± 0.8 / 94.8 % / 0.70", "P1"),
        Published("ALI", "24.1 / 95.7 % / 0.14", "P1"),
        Published("PacGAN2", "23.8 / 91.3 % / 0.13", "P1"),
        Published("PacGAN3", "24.6 / 94.2 % / 0.06", "P1"),
        Published("PacGAN4", "24.8 / 93.6 % / 0.04", "P1"),
    ),
    "stacked-mnist": (
        Published("GAN", "99 / 3.4", "V2"),
        Published("Unrolled GAN", "48.7 / 4.32", "V2"),
        Published("ALI", "16 / 5.4", "V2"),
        Published("VEEGAN", "150 / 2.95", "V2"),
        Published("GAN", "78.9 ± 6.5 / 4.50", "P2"),
        Published("PacGAN2", "1000 / 0.06", "P2"),
        Published("PacGAN3", "1000 / 0.06", "P2"),
        Published("PacGAN4", "1000 / 0.07", "P2"),
        Published("GAN", "¼: 30.6 ± 20.7 / 5.99, ½: 628 / 2.58", "P3"),
        Published("Unrolled GAN", "5 steps, ¼: 236.4 / 4.67, ½: 732 / 1.66", "P3"),
        Published("Unrolled GAN", "10 steps, ¼: 327.2 ± 74.7 / 4.66, ½: 817.4 ± 37.9 / 1.43", "P3"),
        Published("PacGAN2", "¼: 484.5 / 2.61, ½: 840.7 / 1.00", "P3"),
        Published("PacGAN3", "¼: 601.3 / 2.00, ½: 866.6 / 0.90", "P3"),
        Published("PacGAN4", "¼: 667.4 / 1.81, ½: 820.2 / 1.15", "P3"),
        Published("GAN", "712 / 2.15", "M"),
        Published("WGAN", "868 / 1.02", "M"),
        Published("Unrolled GAN", "842 / 1.29", "M"),
        Published("MAD-GAN", "890 / 0.91", "M"),
    ),
    "mnist": (
        Published("GAN (minimax)", "9.8", "L"),
        Published("GAN", "6.8", "L"),
        Published("LSGAN", "7.8", "L"),
        Published("WGAN", "6.7", "L"),
        Published("WGAN-GP", "20.3", "L"),
        Published("DRAGAN", "7.6", "L"),
        Published("BEGAN", "13.1", "L"),
    ),
}
"""By table."""


def reported_of(rows: Iterable[Published]) -> dict[str, str]:
    """Every system's figures in one cell, each with its source, in the order of the papers."""
    cells: dict[str, list[str]] = {}
    for row in rows:
        cells.setdefault(row.system, []).append(str(row))
    return {system: "; ".join(figures) for system, figures in cells.items()}
