"""The networks in plain PyTorch, with the parameter names of their publishers: what mindres is compared with.

ResNets, AlexNet, VGG-16, GoogLeNet and Inception v3 are torchvision's definitions; the CIFAR ResNets have
akamaster's names with shortcut A and torchvision-like ones with B.
"""

import torch
import torch.nn.functional as F
from torch import nn

# Of both hidden layers of AlexNet's and VGG-16's classifiers.
WIDTH = 4096


class Residual(nn.Module):
    """Two 3x3 convolutions, or 1x1, 3x3, 1x1 around `groups` of `base_width`, beside a shortcut."""

    def __init__(self, inputs, width, stride, bottleneck, shortcut, groups=1, base_width=64):
        super().__init__()
        outputs = 4 * width if bottleneck else width
        inner = int(width * base_width / 64) * groups
        shape = (
            [(inputs, inner, 1, 1, 1), (inner, inner, 3, stride, groups), (inner, outputs, 1, 1, 1)]
            if bottleneck
            else [(inputs, width, 3, stride, 1), (width, outputs, 3, 1, 1)]
        )
        self.depth = len(shape)
        for i, (a, b, kernel, step, parts) in enumerate(shape, 1):
            conv = nn.Conv2d(a, b, kernel, step, kernel // 2, groups=parts, bias=False)
            setattr(self, f"conv{i}", conv)
            setattr(self, f"bn{i}", nn.BatchNorm2d(b))
        self.padded = 0
        if stride != 1 or inputs != outputs:
            if shortcut == "A":
                self.padded = (outputs - inputs) // 2
            else:
                self.downsample = nn.Sequential(
                    nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
                )

    def forward(self, x):
        y = x
        for i in range(1, self.depth + 1):
            y = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(y))
            y = F.relu(y) if i < self.depth else y
        if self.padded:
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.padded, self.padded))
        elif hasattr(self, "downsample"):
            x = self.downsample(x)
        return F.relu(y + x)


def stages(inputs, widths, depths, bottleneck=False, shortcut="B", **options):
    for stage, (width, depth) in enumerate(zip(widths, depths), 1):
        blocks = []
        for i in range(depth):
            blocks.append(
                Residual(
                    inputs,
                    width,
                    2 if i == 0 and stage > 1 else 1,
                    bottleneck,
                    shortcut,
                    **options,
                )
            )
            inputs = 4 * width if bottleneck else width
        yield f"layer{stage}", nn.Sequential(*blocks)


class ResNet(nn.Module):
    def __init__(
        self, depths, bottleneck, groups=1, base_width=64, num_classes=1000, in_channels=3
    ):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        options = {"groups": groups, "base_width": base_width}
        for name, stage in stages(64, (64, 128, 256, 512), depths, bottleneck, **options):
            setattr(self, name, stage)
        self.fc = nn.Linear(2048 if bottleneck else 512, num_classes)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.mean((2, 3)))


class CifarResNet(nn.Module):
    def __init__(self, depth, shortcut, num_classes=10, in_channels=3, bias=False):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, 16, 3, 1, 1, bias=bias)
        self.bn1 = nn.BatchNorm2d(16)
        for name, stage in stages(16, (16, 32, 64), 3 * [(depth - 2) // 6], shortcut=shortcut):
            setattr(self, name, stage)
        self.classifier_name = "linear" if shortcut == "A" else "fc"
        setattr(self, self.classifier_name, nn.Linear(64, num_classes))

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return getattr(self, self.classifier_name)(x.mean((2, 3)))


class LeNet5(nn.Module):
    def __init__(self, num_classes=10, in_channels=1):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(in_channels, 6, 5), nn.Conv2d(6, 16, 5)
        self.fc1, self.fc2, self.fc3 = (
            nn.Linear(400, 120),
            nn.Linear(120, 84),
            nn.Linear(84, num_classes),
        )

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2).flatten(1)
        return self.fc3(F.relu(self.fc2(F.relu(self.fc1(x)))))


class ConvNet(nn.Module):
    def __init__(self, num_classes=10, in_channels=1):
        super().__init__()
        self.conv_1, self.conv_2 = (
            nn.Conv2d(in_channels, 8, 3, padding=1),
            nn.Conv2d(8, 16, 3, padding=1),
        )
        self.linear_1 = nn.Linear(784, num_classes)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv_1(x)), 2)
        return self.linear_1(F.max_pool2d(F.relu(self.conv_2(x)), 2).flatten(1))


class Plain(nn.Module):
    """AlexNet and VGG-16: `features`, a fixed grid, `classifier`."""

    def __init__(self, features, grid, classifier):
        super().__init__()
        self.features = nn.Sequential(*features)
        self.avgpool = nn.AdaptiveAvgPool2d(grid)
        self.classifier = nn.Sequential(*classifier)

    def forward(self, x):
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


def alexnet(num_classes=1000, in_channels=3):
    features = []
    for inputs, outputs, kernel, stride, padding, pool in (
        (in_channels, 64, 11, 4, 2, True),
        (64, 192, 5, 1, 2, True),
        (192, 384, 3, 1, 1, False),
        (384, 256, 3, 1, 1, False),
        (256, 256, 3, 1, 1, True),
    ):
        features += [nn.Conv2d(inputs, outputs, kernel, stride, padding), nn.ReLU()]
        features += [nn.MaxPool2d(3, 2)] if pool else []
    return Plain(
        features,
        6,
        [
            nn.Dropout(),
            nn.Linear(9216, WIDTH),
            nn.ReLU(),
            nn.Dropout(),
            nn.Linear(WIDTH, WIDTH),
            nn.ReLU(),
            nn.Linear(WIDTH, num_classes),
        ],
    )


def vgg16(num_classes=1000, in_channels=3):
    features = []
    for outputs in (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0):
        features += (
            [nn.Conv2d(in_channels, outputs, 3, padding=1), nn.ReLU()]
            if outputs
            else [nn.MaxPool2d(2, 2)]
        )
        in_channels = outputs or in_channels
    return Plain(
        features,
        7,
        [
            nn.Linear(25088, WIDTH),
            nn.ReLU(),
            nn.Dropout(),
            nn.Linear(WIDTH, WIDTH),
            nn.ReLU(),
            nn.Dropout(),
            nn.Linear(WIDTH, num_classes),
        ],
    )


class Conv(nn.Module):
    def __init__(self, inputs, outputs, kernel=1, stride=1, padding=0):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=0.001)

    def forward(self, x):
        return F.relu(self.bn(self.conv(x)))


class GoogLeNetBlock(nn.Module):
    def __init__(self, inputs, ones, reduce3, threes, reduce5, fives, pool):
        super().__init__()
        self.branch1 = Conv(inputs, ones)
        self.branch2 = nn.Sequential(Conv(inputs, reduce3), Conv(reduce3, threes, 3, padding=1))
        self.branch3 = nn.Sequential(Conv(inputs, reduce5), Conv(reduce5, fives, 3, padding=1))
        self.branch4 = nn.Sequential(nn.MaxPool2d(3, 1, 1, ceil_mode=True), Conv(inputs, pool))

    def forward(self, x):
        return torch.cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1)


class GoogLeNetAux(nn.Module):
    def __init__(self, inputs, num_classes):
        super().__init__()
        self.conv = Conv(inputs, 128)
        self.fc1, self.fc2 = nn.Linear(2048, 1024), nn.Linear(1024, num_classes)

    def forward(self, x):
        x = self.conv(F.adaptive_avg_pool2d(x, 4)).flatten(1)
        return self.fc2(F.dropout(F.relu(self.fc1(x)), 0.7, self.training))


class GoogLeNet(nn.Module):
    """In training it returns a tuple: the logits, those of aux1, those of aux2."""

    def __init__(self, num_classes=1000, in_channels=3):
        super().__init__()
        self.conv1 = Conv(in_channels, 64, 7, 2, 3)
        self.conv2, self.conv3 = Conv(64, 64), Conv(64, 192, 3, padding=1)
        for name, *shape in (
            ("3a", 192, 64, 96, 128, 16, 32, 32),
            ("3b", 256, 128, 128, 192, 32, 96, 64),
            ("4a", 480, 192, 96, 208, 16, 48, 64),
            ("4b", 512, 160, 112, 224, 24, 64, 64),
            ("4c", 512, 128, 128, 256, 24, 64, 64),
            ("4d", 512, 112, 144, 288, 32, 64, 64),
            ("4e", 528, 256, 160, 320, 32, 128, 128),
            ("5a", 832, 256, 160, 320, 32, 128, 128),
            ("5b", 832, 384, 192, 384, 48, 128, 128),
        ):
            setattr(self, f"inception{name}", GoogLeNetBlock(*shape))
        self.aux1, self.aux2 = GoogLeNetAux(512, num_classes), GoogLeNetAux(528, num_classes)
        self.fc = nn.Linear(1024, num_classes)

    def forward(self, x):
        x = F.max_pool2d(self.conv1(x), 3, 2, ceil_mode=True)
        x = F.max_pool2d(self.conv3(self.conv2(x)), 3, 2, ceil_mode=True)
        x = F.max_pool2d(self.inception3b(self.inception3a(x)), 3, 2, ceil_mode=True)
        first = self.inception4a(x)
        second = self.inception4d(self.inception4c(self.inception4b(first)))
        x = F.max_pool2d(self.inception4e(second), 2, 2, ceil_mode=True)
        x = self.inception5b(self.inception5a(x)).mean((2, 3))
        logits = self.fc(F.dropout(x, 0.2, self.training))
        return (logits, self.aux1(first), self.aux2(second)) if self.training else logits


class Inception(nn.Module):
    """An Inception v3 module from its branches: chains of (name, inputs, outputs, kernel, stride, padding).

    "avg" and "max" in a chain pool; a list in a chain is a split, whose outputs are joined.
    """

    def __init__(self, *branches):
        super().__init__()
        self.branches = [[self.register(step) for step in branch] for branch in branches]

    def register(self, step):
        if isinstance(step, list):
            return [self.register(part) for part in step]
        if isinstance(step, tuple):
            setattr(self, step[0], Conv(*step[1:]))
            return step[0]
        return step

    def run(self, step, x):
        if isinstance(step, list):
            return torch.cat([self.run(part, x) for part in step], 1)
        if step == "avg":
            return F.avg_pool2d(x, 3, 1, 1)
        return F.max_pool2d(x, 3, 2) if step == "max" else getattr(self, step)(x)

    def forward(self, x):
        outputs = []
        for branch in self.branches:
            y = x
            for step in branch:
                y = self.run(step, y)
            outputs.append(y)
        return torch.cat(outputs, 1)


WIDE, TALL = ((1, 7), 1, (0, 3)), ((7, 1), 1, (3, 0))


def inception_a(inputs, pool):
    return Inception(
        [("branch1x1", inputs, 64)],
        [("branch5x5_1", inputs, 48), ("branch5x5_2", 48, 64, 5, 1, 2)],
        [
            ("branch3x3dbl_1", inputs, 64),
            ("branch3x3dbl_2", 64, 96, 3, 1, 1),
            ("branch3x3dbl_3", 96, 96, 3, 1, 1),
        ],
        ["avg", ("branch_pool", inputs, pool)],
    )


def inception_b(inputs):
    return Inception(
        [("branch3x3", inputs, 384, 3, 2)],
        [
            ("branch3x3dbl_1", inputs, 64),
            ("branch3x3dbl_2", 64, 96, 3, 1, 1),
            ("branch3x3dbl_3", 96, 96, 3, 2),
        ],
        ["max"],
    )


def inception_c(inputs, middle):
    return Inception(
        [("branch1x1", inputs, 192)],
        [
            ("branch7x7_1", inputs, middle),
            ("branch7x7_2", middle, middle, *WIDE),
            ("branch7x7_3", middle, 192, *TALL),
        ],
        [
            ("branch7x7dbl_1", inputs, middle),
            ("branch7x7dbl_2", middle, middle, *TALL),
            ("branch7x7dbl_3", middle, middle, *WIDE),
            ("branch7x7dbl_4", middle, middle, *TALL),
            ("branch7x7dbl_5", middle, 192, *WIDE),
        ],
        ["avg", ("branch_pool", inputs, 192)],
    )


def inception_d(inputs):
    return Inception(
        [("branch3x3_1", inputs, 192), ("branch3x3_2", 192, 320, 3, 2)],
        [
            ("branch7x7x3_1", inputs, 192),
            ("branch7x7x3_2", 192, 192, *WIDE),
            ("branch7x7x3_3", 192, 192, *TALL),
            ("branch7x7x3_4", 192, 192, 3, 2),
        ],
        ["max"],
    )


def inception_e(inputs):
    return Inception(
        [("branch1x1", inputs, 320)],
        [
            ("branch3x3_1", inputs, 384),
            [
                ("branch3x3_2a", 384, 384, (1, 3), 1, (0, 1)),
                ("branch3x3_2b", 384, 384, (3, 1), 1, (1, 0)),
            ],
        ],
        [
            ("branch3x3dbl_1", inputs, 448),
            ("branch3x3dbl_2", 448, 384, 3, 1, 1),
            [
                ("branch3x3dbl_3a", 384, 384, (1, 3), 1, (0, 1)),
                ("branch3x3dbl_3b", 384, 384, (3, 1), 1, (1, 0)),
            ],
        ],
        ["avg", ("branch_pool", inputs, 192)],
    )


class InceptionAux(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.conv0, self.conv1 = Conv(768, 128), Conv(128, 768, 5)
        self.fc = nn.Linear(768, num_classes)

    def forward(self, x):
        return self.fc(self.conv1(self.conv0(F.avg_pool2d(x, 5, 3))).mean((2, 3)))


class InceptionV3(nn.Module):
    """In training it returns a tuple: the logits and the auxiliary ones."""

    def __init__(self, num_classes=1000, in_channels=3):
        super().__init__()
        self.Conv2d_1a_3x3 = Conv(in_channels, 32, 3, 2)
        self.Conv2d_2a_3x3 = Conv(32, 32, 3)
        self.Conv2d_2b_3x3 = Conv(32, 64, 3, padding=1)
        self.Conv2d_3b_1x1 = Conv(64, 80)
        self.Conv2d_4a_3x3 = Conv(80, 192, 3)
        self.Mixed_5b, self.Mixed_5c, self.Mixed_5d = (
            inception_a(192, 32),
            inception_a(256, 64),
            inception_a(288, 64),
        )
        self.Mixed_6a = inception_b(288)
        self.Mixed_6b, self.Mixed_6c = inception_c(768, 128), inception_c(768, 160)
        self.Mixed_6d, self.Mixed_6e = inception_c(768, 160), inception_c(768, 192)
        self.AuxLogits = InceptionAux(num_classes)
        self.Mixed_7a = inception_d(768)
        self.Mixed_7b, self.Mixed_7c = inception_e(1280), inception_e(2048)
        self.fc = nn.Linear(2048, num_classes)

    def forward(self, x):
        x = F.max_pool2d(self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x))), 3, 2)
        x = F.max_pool2d(self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x)), 3, 2)
        x = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(x)))
        middle = self.Mixed_6e(self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(self.Mixed_6a(x)))))
        x = self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(middle))).mean((2, 3))
        logits = self.fc(F.dropout(x, 0.5, self.training))
        return (logits, self.AuxLogits(middle)) if self.training else logits


DEPTHS = {
    "resnet18": ((2, 2, 2, 2), False),
    "resnet34": ((3, 4, 6, 3), False),
    "resnet50": ((3, 4, 6, 3), True),
    "resnet101": ((3, 4, 23, 3), True),
    "resnet152": ((3, 8, 36, 3), True),
    "wide_resnet50_2": ((3, 4, 6, 3), True, 1, 128),
    "resnext50_32x4d": ((3, 4, 6, 3), True, 32, 4),
}
OTHERS = {
    "lenet5": LeNet5,
    "convnet": ConvNet,
    "alexnet": alexnet,
    "vgg16": vgg16,
    "googlenet": GoogLeNet,
    "inception_v3": InceptionV3,
}


def create(arch, shortcut="B", **options):
    """The network called `arch`, with random weights and random statistics of batch normalisation, for inference."""
    if arch in DEPTHS:
        net = ResNet(*DEPTHS[arch], **options)
    elif arch in OTHERS:
        net = OTHERS[arch](**options)
    else:
        net = CifarResNet(int(arch.removeprefix("resnet")), shortcut, **options)
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_(0, 0.2)
                module.running_mean.normal_(0, 0.2)
                module.running_var.uniform_(0.5, 1.5)
            elif isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                if module.bias is not None:
                    module.bias.normal_(0, 0.1)
    return net.eval()
