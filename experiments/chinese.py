"""What the tables of docs/models-zh.md say in Chinese: the models' summaries, and what others report."""

SUMMARIES = {
    "alexnet-cifar10": (
        "AlexNet 的两组卷积、响应归一化、重叠池化、dropout 与颜色噪声，用于小照片；为此作了改动（第一层 5×5，"
        "步幅 1；通道减半；全连接层 256）。"
    ),
    "googlenet-cifar10": (
        "GoogLeNet 的九个 Inception 模块，训练时带两个辅助分类器，用于小照片；为此作了改动（第一层 3×3，"
        "步幅 1；通道减半；以批归一化代替响应归一化）。"
    ),
    "lenet5-cifar10": "LeNet-5 用于小照片，改为三通道：此后各网络都须超越的起点。",
    "lenet5-fashion": "按论文原样的 LeNet-5，用于衣物：稀疏的 C3、可训练的下采样、到手绘编码的距离。",
    "lenet5-mnist": "按论文原样的 LeNet-5，用于手写数字：稀疏的 C3、可训练的下采样、到手绘编码的距离。",
    "mlp-mnist": "论文中的感知机，隐藏层 300 与 100 个单元，用于手写数字。",
    "nin-cifar10": "作者自己用于小照片的网络；最后的特征图不经整流，以免某一类永远沉默。",
    "nin-mnist": "作者用于手写数字的网络；最后的特征图不经整流，以免某一类永远沉默。",
    "vgg11-cifar10": "VGG 的浅网络 A，较深的网络由它起步，用于小照片；为此作了改动（通道为四分之一，全连接层 128）。",
    "vgg16-bn-cifar10": "带批归一化的 VGG 网络 D，用于小照片；为此作了改动（通道减半，没有隐藏的全连接层）。",
    "zfnet-cifar10": (
        "ZFNet 更细的前几层、不分组、卷积核的均方根限于 0.1，用于小照片；为此作了改动（步幅 1，通道减半，"
        "全连接层 256）。"
    ),
    "mobilenet-cifar10": (
        "MobileNet 的十三个可分离卷积，用于小照片；为此作了改动（通道减半，第一层与第二块不用步幅）。"
    ),
    "xception-cifar10": "Xception 的 36 个卷积，用于小照片；为此作了改动（通道为四分之一，第一层与第一块不用步幅）。",
    "cwrnn-sequential-mnist": "128 个单元的 Clockwork RNN，逐行读手写数字。",
    "cwrnn-waveforms": "五个 40 个单元的 Clockwork RNN，各自记住一段 320 个样点的波形，只听得见自己的时钟。",
    "esn-lorenz": "300 个单元的回声状态网络，续写 Lorenz 系统的 x、y 与 z；也可拟合并续写所给的序列。",
    "esn-mackey-glass": "400 个单元的回声状态网络，续写延迟为 17 的 Mackey-Glass 序列；也可拟合并续写所给的序列。",
    "esn-narma10": "200 个单元的回声状态网络，听 NARMA-10 系统的输入，说出它的输出。",
    "esn-sequential-mnist": "逐行读手写数字的回声状态网络；只拟合了它的线性读出层。",
    "dragan-mnist": "手写数字；其判别器在数据周围斜率为一。",
    "ebgan-mnist": "手写数字；其判别器是自编码器，并带推开项。",
    "gan-mnist": "手写数字；以不饱和损失 -log D(G(z)) 训练。",
    "gan-mnist-minimax": "手写数字；以理论中的极小极大损失 log(1 - D(G(z))) 训练。",
    "madgan-mnist": "手写数字；四个共用主干的生成器，由判别器说出是哪一个。",
    "minibatch-mnist": "手写数字；其判别器能看到一个批次中的图像彼此有多接近。",
    "pacgan-mnist": "手写数字；其判别器一次判断两张图像。",
    "pixels": "像素本身，取值 [0, 1]，图像须同样大小：最朴素的特征，无需下载。",
    "unrolled-mnist": "手写数字；由若干步之后的判别器来评判。",
    "wgan-gp-mnist": "手写数字；其评论家的斜率被约束为 1，而不作裁剪。",
    "wgan-mnist": "手写数字；沿 Wasserstein 距离的估计下降（权重裁剪）。",
}
"""Of models, by their ids; a model that is not here keeps the words of its manifest."""

REPORTED = {
    "89 % (a four-layer net of the paper with response normalisation, section 3.3)": (
        "89 %（论文 3.3 节中带响应归一化的四层网络）"
    ),
    "99.05 %, 99.2 % with distortions (LeCun et al. 1998)": "99.05 %，加形变为 99.2 %（LeCun 等 1998）",
    "96.95 % (LeCun et al. 1998)": "96.95 %（LeCun 等 1998）",
    "91.19 % (Lin et al. 2014, table 1)": "91.19 %（Lin 等 2014，表 1）",
    "99.53 % (Lin et al. 2014, table 4)": "99.53 %（Lin 等 2014，表 4）",
    "94.16 % (chenyaofo's re-implementation, full width)": "94.16 %（chenyaofo 的重新实现，完整宽度）",
    "94.56 % (dyfcalid's re-implementation of 1.36 M parameters)": "94.56 %（dyfcalid 的重新实现，1.36 M 参数）",
}
"""Of what others report, by the English words."""
