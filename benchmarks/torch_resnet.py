"""The benchmarks' networks in PyTorch, of torchvision's layers, without torchvision."""

from torch import nn


def _convolution(inputs, outputs, kernel, stride=1, activation=True):
    layers = [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    return nn.Sequential(*layers, *([nn.ReLU(inplace=True)] if activation else []))


class Block(nn.Module):
    """The residual block: two 3x3 convolutions, or with `bottleneck` 1x1, 3x3, 1x1 (ResNet v1.5)."""

    def __init__(self, inputs, width, stride, bottleneck):
        super().__init__()
        outputs = 4 * width if bottleneck else width
        if bottleneck:
            self.branch = nn.Sequential(
                _convolution(inputs, width, 1),
                _convolution(width, width, 3, stride),
                _convolution(width, outputs, 1, activation=False),
            )
        else:
            self.branch = nn.Sequential(
                _convolution(inputs, width, 3, stride),
                _convolution(width, width, 3, activation=False),
            )
        self.shortcut = (
            nn.Identity()
            if stride == 1 and inputs == outputs
            else _convolution(inputs, outputs, 1, stride, activation=False)
        )
        self.activation = nn.ReLU(inplace=True)

    def forward(self, x):
        return self.activation(self.branch(x) + self.shortcut(x))


def _resnet(stem, stages, bottleneck, num_classes):
    layers, inputs = [stem], stages[0][0]
    for stage, (width, blocks) in enumerate(stages):
        for block in range(blocks):
            layers.append(Block(inputs, width, 2 if stage and not block else 1, bottleneck))
            inputs = 4 * width if bottleneck else width
    return nn.Sequential(
        *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, num_classes)
    )


def _large_stem():
    return nn.Sequential(_convolution(3, 64, 7, 2), nn.MaxPool2d(3, 2, 1))


def resnet50(num_classes=1000):
    return _resnet(_large_stem(), ((64, 3), (128, 4), (256, 6), (512, 3)), True, num_classes)


def resnet18(num_classes=1000):
    return _resnet(_large_stem(), ((64, 2), (128, 2), (256, 2), (512, 2)), False, num_classes)


def resnet20(num_classes=10):
    return _resnet(_convolution(3, 16, 3), ((16, 3), (32, 3), (64, 3)), False, num_classes)


def convnet(num_classes=10):
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(16 * 7 * 7, num_classes),
    )
