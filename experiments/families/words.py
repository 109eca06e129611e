"""The words of the tables in docs/nets/, in English and in Chinese."""

import re
from dataclasses import dataclass

TITLES = {
    "weight-sharing": "卷积共享权重",
    "relu": "ReLU 比 tanh 学得快",
    "lrn": "局部响应归一化",
    "overlapping-pooling": "重叠池化",
    "stem": "更细的第一层",
    "dropout": "Dropout",
    "mlpconv": "以 1×1 卷积构成网络中的网络",
    "average-pooling": "以全局平均池化代替全连接层",
    "two-3x3": "以两个 3×3 代替一个 5×5",
    "from-shallow": "深网络由浅网络起步",
    "depth": "深度",
    "multi-scale": "多尺度增广",
    "reduction": "1×1 降维",
    "auxiliary": "辅助分类器",
    "separable": "可分离卷积",
    "separable-deep": "MobileNet 深度的可分离卷积",
    "pool-first": "先池化后卷积",
    "other-savings": "分组、瓶颈与非对称卷积核",
}
"""The ideas of `experiments.claims`, by their keys."""
VARIANTS = {
    "1×3": "1×3",
    "2×2": "2×2",
    "3×1 and 1×3": "3×1 与 1×3",
    "AlexNet with": "有归一化的 AlexNet",
    "AlexNet without": "无归一化的 AlexNet",
    "He et al.": "He 等人的初始化",
    "as many multiplications": "乘法次数相当",
    "as many parameters": "参数数量相当",
    "bottleneck": "瓶颈",
    "cut and scaled": "裁剪并缩放",
    "dense layer": "全连接层",
    "depthwise": "逐通道",
    "digits": "手写数字",
    "fewer maps": "通道较少",
    "from A": "由 A 起步",
    "half of the maps": "通道减半",
    "mean": "平均池化",
    "mirrored": "镜像",
    "mirrored and cut": "镜像并裁剪",
    "no dropout": "无 dropout",
    "one 5×5": "一个 5×5",
    "perceptron": "感知机",
    "photographs": "照片",
    "pools before": "池化在前",
    "pools behind": "池化在后",
    "rank one": "秩一",
    "small σ": "小 σ",
    "standard": "标准卷积",
    "two 3×3": "两个 3×3",
    "two groups": "两组",
    "with": "有",
    "with 1×1": "有 1×1",
    "with reduction": "有降维",
    "without": "无",
}
"""What the variants of a comparison are called, part by part between commas; other parts are names and formulas."""
DATA = {
    "mnist": "MNIST 手写数字",
    "fashion-mnist": "Fashion-MNIST 衣物",
    "cifar-10": "CIFAR-10 照片",
    "lorenz": "Lorenz 系统",
    "mackey-glass": "Mackey-Glass 序列",
    "narma10": "NARMA-10 系统",
    "waveforms": "波形",
    "stacked-mnist": "Stacked-MNIST",
}


@dataclass(frozen=True, slots=True)
class Language:
    """What the tables say in one language."""

    suffix: str
    """Behind the name of a page."""
    ideas: tuple[str, ...]
    trained: tuple[str, ...]
    published: tuple[str, ...]
    modes: tuple[str, ...]
    digits: tuple[str, ...]
    verdicts: dict[str, str]
    against: str
    allowed: str
    units: dict[str, str]
    recipe: str
    forms: dict[str, str]
    scores: dict[str, str]

    @property
    def is_english(self) -> bool:
        """Whether names are taken as they are."""
        return not self.suffix

    def title(self, key: str, english: str) -> str:
        """What an idea is called."""
        return english if self.is_english else TITLES[key]

    def variant(self, english: str) -> str:
        """What one side of a comparison is called."""
        if self.is_english:
            return english
        parts = [VARIANTS.get(part, part) for part in english.split(", ")]
        words = "，".join(parts)
        return re.sub(r"\bstride\b", "步幅", re.sub(r"\brate\b", "学习率", words))

    def share(self, english: str) -> str:
        """How many of how many."""
        return english if self.is_english else re.sub(r"(\d+) of (\d+)", r"\2 次中 \1 次", english)

    def dataset(self, name: str) -> str:
        """What a model learnt from."""
        return f"`{name}`" if self.is_english or name not in DATA else DATA[name]


ENGLISH = Language(
    suffix="",
    ideas=("idea", "what was compared", "measured", "verdict"),
    trained=("model", "learnt from", "parameters", "multiply-accumulates", "score", "made by"),
    published=("net of the paper", "input", "parameters", "multiply-accumulates"),
    modes=("system", "modes of {modes}", "good samples", "reverse KL", "seeds"),
    digits=("system", "rarest digit", "commonest", "confident", "1-NN real", "1-NN generated", "FID (floor)"),
    verdicts={
        "reproduced": "reproduced",
        "not reproduced": "**not reproduced**",
        "too close to call": "too close to call",
        "not measured": "not measured",
    },
    against="{this} against {that}",
    allowed="{compared}: at most {allowed} points worse",
    units={"epochs": "epochs", "iterations": "iterations", "min": "min", "s": "s"},
    recipe="{form}{rounds}, {time} on {hardware}",
    forms={"full": "the full recipe", "reduced": "the reduced recipe", "": "its recipe"},
    scores={},
)
CHINESE = Language(
    suffix="-zh",
    ideas=("想法", "比较", "测得", "结论"),
    trained=("模型", "训练数据", "参数", "乘加次数", "分数", "训练"),
    published=("论文中的网络", "输入", "参数", "乘加次数"),
    modes=("系统", "{modes} 个模式中的覆盖数", "合格样本", "反向 KL", "种子数"),
    digits=("系统", "最少的数字", "最多的数字", "有把握", "1-NN 真实", "1-NN 生成", "FID（噪声下限）"),
    verdicts={
        "reproduced": "复现",
        "not reproduced": "**未复现**",
        "too close to call": "差异不足以判定",
        "not measured": "未测",
    },
    against="{this} 对 {that}",
    allowed="{compared}：至多差 {allowed} 个百分点",
    units={"epochs": "轮", "iterations": "次迭代", "min": "分钟", "s": "秒"},
    recipe="{form}{rounds}，{time}，{hardware}",
    forms={"full": "完整方案", "reduced": "缩减方案", "": "自身方案"},
    scores={"accuracy": "准确率", "inception score": "Inception 分数", "lyapunov times": "李雅普诺夫时间"},
)
LANGUAGES = (ENGLISH, CHINESE)
