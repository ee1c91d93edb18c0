"""The works of the bench in PyTorch, with parameters by name from the driver's
file. Images are [N,H,W,C] there, kernels of convolutions [O,KH,KW,I], and a
flattened image is in the order height, width, channel.
"""

import collections
import math

import torch
import torch.nn.functional as F
from torch import nn

Work = collections.namedtuple("Work", "model loss optimizer")


def parameter(tensor):
    return nn.Parameter(tensor.clone().contiguous())


def linear(weight, bias=None):
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    layer.weight = parameter(weight)
    if bias is not None:
        layer.bias = parameter(bias)
    return layer


def conv(weight, bias=None, stride=1):
    """A convolution whose padding keeps the size at stride 1."""
    o, kh, kw, i = weight.shape
    layer = nn.Conv2d(i, o, (kh, kw), stride=stride, padding=(kh // 2, kw // 2), bias=bias is not None)
    layer.weight = parameter(weight.permute(0, 3, 1, 2))
    if bias is not None:
        layer.bias = parameter(bias)
    return layer


def flattened(weight, height, width):
    """Reorders a linear layer's inputs from height, width, channel to
    channel, height, width."""
    units = weight.shape[0]
    return weight.reshape(units, height, width, -1).permute(0, 3, 1, 2).reshape(units, -1)


class MLP(nn.Module):
    def __init__(self, p, channels_last):
        super().__init__()
        names = sorted({k.rsplit(".", 1)[0] for k in p}, key=lambda n: int(n.split(".")[1]))
        self.layers = nn.ModuleList(linear(p[n + ".weight"], p[n + ".bias"]) for n in names)

    def prepare(self, x):
        return x.reshape(x.shape[0], -1)

    def forward(self, x):
        for layer in self.layers[:-1]:
            x = F.relu(layer(x))
        return self.layers[-1](x)


class Images(nn.Module):
    """What the models of images share: the layout in memory."""

    def finish(self, channels_last):
        self.format = torch.channels_last if channels_last else torch.contiguous_format
        self.to(memory_format=self.format)

    def prepare(self, x):
        return x.permute(0, 3, 1, 2).contiguous(memory_format=self.format)


class CNN(Images):
    def __init__(self, p, channels_last):
        super().__init__()
        w = [k[: -len(".weight")] for k in p if k.endswith(".weight")]
        w.sort(key=lambda n: int(n.split(".")[1]))
        self.conv1 = conv(p[w[0] + ".weight"], p[w[0] + ".bias"])
        self.conv2 = conv(p[w[1] + ".weight"], p[w[1] + ".bias"])
        self.dense1 = linear(flattened(p[w[2] + ".weight"], 7, 7), p[w[2] + ".bias"])
        self.dense2 = linear(p[w[3] + ".weight"], p[w[3] + ".bias"])
        self.finish(channels_last)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        return self.dense2(F.relu(self.dense1(x.flatten(1))))


def norm2d(p, name):
    layer = nn.BatchNorm2d(p[name + ".weight"].shape[0], eps=1e-5, momentum=0.1)
    layer.weight, layer.bias = parameter(p[name + ".weight"]), parameter(p[name + ".bias"])
    return layer


class ResidualBlock(nn.Module):
    def __init__(self, p, name, stride):
        super().__init__()
        self.conv1, self.norm1 = conv(p[name + ".conv1.weight"], stride=stride), norm2d(p, name + ".norm1")
        self.conv2, self.norm2 = conv(p[name + ".conv2.weight"]), norm2d(p, name + ".norm2")
        self.shortcut = nn.Sequential()
        if name + ".shortcut.weight" in p:
            self.shortcut = nn.Sequential(conv(p[name + ".shortcut.weight"], stride=stride),
                                          norm2d(p, name + ".shortcut_norm"))

    def forward(self, x):
        y = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.norm2(self.conv2(y)) + self.shortcut(x))


class ResNet8(Images):
    """He et al., 2015, section 4.2, with n = 1 and projections (1x1 convolution
    and batch norm) where a block changes the size."""

    def __init__(self, p, channels_last):
        super().__init__()
        self.conv, self.norm = conv(p["conv.weight"]), norm2d(p, "norm")
        self.blocks = nn.Sequential(*(ResidualBlock(p, f"blocks.{i}", 1 if i == 0 else 2) for i in range(3)))
        self.head = linear(p["head.weight"], p["head.bias"])
        self.finish(channels_last)

    def forward(self, x):
        x = self.blocks(F.relu(self.norm(self.conv(x))))
        return self.head(x.mean((2, 3)))


def norm1d(p, name):
    layer = nn.LayerNorm(p[name + ".weight"].shape[0], eps=1e-5)
    layer.weight, layer.bias = parameter(p[name + ".weight"]), parameter(p[name + ".bias"])
    return layer


class TransformerBlock(nn.Module):
    def __init__(self, p, name, heads, context):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = norm1d(p, name + ".norm1"), norm1d(p, name + ".norm2")
        for part in ("qkv", "out", "up", "down"):
            setattr(self, part, linear(p[f"{name}.{part}.weight"], p[f"{name}.{part}.bias"]))
        future = torch.full((context, context), -math.inf).triu(1)
        self.register_buffer("future", future, persistent=False)

    def attention(self, x):
        b, t, d = x.shape
        q, k, v = self.qkv(x).view(b, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        scores = q @ k.transpose(-2, -1) * (1 / math.sqrt(d // self.heads)) + self.future
        return self.out((scores.softmax(-1) @ v).transpose(1, 2).reshape(b, t, d))

    def forward(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.down(F.gelu(self.up(self.norm2(x)), approximate="tanh"))


class GPT(nn.Module):
    """Pre-layernorm, learned positions, an untied head without bias."""

    HEADS = 4

    def __init__(self, p, channels_last):
        super().__init__()
        self.tokens = parameter(p["tokens.weight"])  # [vocabulary, width]
        self.positions = parameter(p["positions.weight"])  # [context, width]
        context = self.positions.shape[0]
        count = len({k.split(".")[1] for k in p if k.startswith("blocks.")})
        self.blocks = nn.Sequential(*(
            TransformerBlock(p, f"blocks.{i}", self.HEADS, context) for i in range(count)))
        self.norm = norm1d(p, "norm")
        self.head = linear(p["head.weight"])

    def prepare(self, x):
        return x.long()

    def forward(self, x):
        x = F.embedding(x, self.tokens) + self.positions
        return self.head(self.norm(self.blocks(x))).flatten(0, 1)


def adam(parameters, rate, foreach):
    return torch.optim.Adam(parameters, lr=rate, foreach=foreach)


def adamw(parameters, rate, foreach):
    return torch.optim.AdamW(parameters, lr=rate, weight_decay=0.01, foreach=foreach)


def sgd(parameters, rate, foreach):
    return torch.optim.SGD(parameters, lr=rate, momentum=0.9, foreach=foreach)


WORKS = {
    "mlp": Work(MLP, F.cross_entropy, adam),
    "cnn": Work(CNN, F.cross_entropy, adam),
    "gpt": Work(GPT, F.cross_entropy, adamw),
    "resnet8": Work(ResNet8, F.cross_entropy, sgd),
}
