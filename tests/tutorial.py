"""MindSpore's ResNet-50 tutorial told in this project's words: the same calls in the same order.

Two epochs, and a network with the first block of each stage of ResNet-50.

Run by compat/test_mindvision.py, which serves the dataset and the weights under the tutorial's names.
"""

import matplotlib.pyplot as plt
import mindspore
import numpy as np
from mindspore import nn
from mindspore.train import Model
from mindvision.classification.dataset import Cifar10
from mindvision.classification.models.blocks import ConvNormActivation
from mindvision.classification.models.classifiers import BaseClassifier
from mindvision.classification.models.head import DenseHead
from mindvision.classification.models.neck import GlobalAvgPooling
from mindvision.classification.utils.model_urls import model_urls
from mindvision.engine.callback import ValAccMonitor
from mindvision.utils.load_pretrained_model import LoadPretrainedModel

EPOCHS = 2

train_set = Cifar10(path="./datasets", split="train", batch_size=6, resize=32, download=True)
train_batches = train_set.run()
steps = train_batches.get_dataset_size()
val_set = Cifar10(path="./datasets", split="test", batch_size=6, resize=32, download=True)
val_batches = val_set.run()


def draw(images, titles, colors):
    plt.figure()
    for place, (image, title, color) in enumerate(zip(images, titles, colors), start=1):
        plt.subplot(2, 3, place)
        shown = np.transpose(image, (1, 2, 0)) * [0.2023, 0.1994, 0.2010] + [0.4914, 0.4822, 0.4465]
        plt.title(title, color=color)
        plt.imshow(np.clip(shown, 0, 1))
        plt.axis("off")
    plt.show()


first = next(train_batches.create_dict_iterator())
images, labels = first["image"].asnumpy(), first["label"].asnumpy()
print("steps", steps, "images", images.shape, "labels", labels.tolist())
draw(images, [train_set.index2label[label] for label in labels], ["black"] * 6)


class Bottleneck(nn.Cell):
    expansion = 4

    def __init__(self, in_channel, channel, stride=1, norm=None, down_sample=None):
        super().__init__()
        norm = norm or nn.BatchNorm2d
        self.conv1 = ConvNormActivation(in_channel, channel, kernel_size=1, norm=norm)
        self.conv2 = ConvNormActivation(channel, channel, kernel_size=3, stride=stride, norm=norm)
        self.conv3 = ConvNormActivation(
            channel, channel * 4, kernel_size=1, norm=norm, activation=None
        )
        self.relu = nn.ReLU()
        self.down_sample = down_sample

    def construct(self, x):
        identity = x
        out = self.conv3(self.conv2(self.conv1(x)))
        if self.down_sample:
            identity = self.down_sample(x)
        out += identity
        return self.relu(out)


def stage(in_channel, channel, blocks, stride=1):
    down_sample = None
    if stride != 1 or in_channel != 4 * channel:
        down_sample = ConvNormActivation(
            in_channel,
            4 * channel,
            kernel_size=1,
            stride=stride,
            norm=nn.BatchNorm2d,
            activation=None,
        )
    layers = [
        Bottleneck(in_channel, channel, stride=stride, down_sample=down_sample, norm=nn.BatchNorm2d)
    ]
    layers += [Bottleneck(4 * channel, channel, norm=nn.BatchNorm2d) for _ in range(1, blocks)]
    return nn.SequentialCell(layers)


class Backbone(nn.Cell):
    def __init__(self):
        super().__init__()
        self.conv1 = ConvNormActivation(3, 64, kernel_size=7, stride=2, norm=nn.BatchNorm2d)
        self.max_pool = nn.MaxPool2d(kernel_size=3, stride=2, pad_mode="same")
        self.layer1 = stage(64, 64, 1)
        self.layer2 = stage(256, 128, 1, stride=2)
        self.layer3 = stage(512, 256, 1, stride=2)
        self.layer4 = stage(1024, 512, 1, stride=2)

    def construct(self, x):
        x = self.max_pool(self.conv1(x))
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))


def resnet50(num_classes=1000, pretrained=False):
    model = BaseClassifier(
        Backbone(), GlobalAvgPooling(), DenseHead(input_channel=2048, num_classes=num_classes)
    )
    if pretrained:
        LoadPretrainedModel(model, model_urls["resnet50"]).run()
    return model


network = resnet50(pretrained=True)
np.save("loaded.npy", network.backbone.layer4[0].conv3.features[0].weight.asnumpy())
network.head = DenseHead(input_channel=network.head.dense.in_channels, num_classes=10)
rates = nn.cosine_decay_lr(
    min_lr=0.00001,
    max_lr=0.001,
    total_step=steps * EPOCHS,
    step_per_epoch=steps,
    decay_epoch=EPOCHS,
)
optimizer = nn.Momentum(params=network.trainable_params(), learning_rate=rates, momentum=0.9)
loss = nn.SoftmaxCrossEntropyWithLogits(sparse=True, reduction="mean")
model = Model(network, loss, optimizer, metrics={"Accuracy": nn.Accuracy()})
print("mode", mindspore.get_context("mode") == mindspore.PYNATIVE_MODE)
model.train(EPOCHS, train_batches, callbacks=[ValAccMonitor(model, val_batches, EPOCHS)])

best = resnet50(10)
not_loaded, _ = mindspore.load_param_into_net(best, mindspore.load_checkpoint("best.ckpt"))
batch = next(val_batches.create_dict_iterator())
scores = mindspore.Model(best).predict(mindspore.Tensor(batch["image"])).asnumpy()
predicted, truth = scores.argmax(axis=1), batch["label"].asnumpy()
draw(
    batch["image"].asnumpy(),
    [f"predict:{val_set.index2label[label]}" for label in predicted],
    np.where(predicted == truth, "blue", "red"),
)
print(
    "drawn",
    len(plt.get_fignums()),
    "not loaded",
    not_loaded,
    "finite",
    bool(np.isfinite(scores).all()),
)
