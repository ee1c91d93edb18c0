class Flatten(nn.Module):
    """Flattens images [N, C, H, W] in the order H, W, C in which training did."""

    def forward(self, x):
        return x.permute(0, 2, 3, 1).flatten(1)


class Tokens(nn.Module):
    """Turns the pixels of images [N, C, H, W] into tokens [N, H * W, C]."""

    def forward(self, x):
        return x.flatten(2).transpose(1, 2)


class Mean(nn.Module):
    """Takes the mean over all pixels of images, or all tokens of sequences."""

    def __init__(self, *dims):
        super().__init__()
        self.dims = dims

    def forward(self, x):
        return x.mean(self.dims)


class Columns(nn.Module):
    """Takes rows [N, C] of a table apart, and joins what the parts make of their columns."""

    def __init__(self, widths, *parts):
        super().__init__()
        self.widths = widths
        self.parts = nn.ModuleList(parts)

    def forward(self, x):
        return torch.cat([part(c) for part, c in zip(self.parts, x.split(self.widths, 1))], 1)


class TextMean(nn.Module):
    """Takes the mean over the tokens of texts [N, T, C], without the padding."""

    def __init__(self):
        super().__init__()
        self.mask = None

    def forward(self, x):
        mask = self.mask.unsqueeze(2)
        return x.masked_fill(~mask, 0).sum(1) / mask.sum(1).clamp(min=1)


class RowBatchNorm(nn.BatchNorm1d):
    """Batch normalization of the last dimension, over all the others."""

    def forward(self, x):
        return super().forward(x.reshape(-1, x.shape[-1])).reshape(x.shape)


class RMSNorm(nn.Module):
    """Divides by the root mean square of the last dimension."""

    def __init__(self, width, eps=1e-5):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x):
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.eps) * self.weight


class ImageLayerNorm(nn.LayerNorm):
    """Layer normalization over the channels of each pixel of [N, C, H, W]."""

    def forward(self, x):
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ImageRMSNorm(RMSNorm):
    """RMS normalization over the channels of each pixel of [N, C, H, W]."""

    def forward(self, x):
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Position(nn.Module):
    """Adds a learned vector for each position of sequences [N, T, C]."""

    def __init__(self, tokens, width):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(tokens, width))

    def forward(self, x):
        return x + self.weight[: x.shape[1]]


class Attention(nn.Module):
    """Multi-head self-attention over sequences [N, T, C]."""

    def __init__(self, width, heads, causal=False, bias=True):
        super().__init__()
        self.heads, self.causal = heads, causal
        self.qkv = nn.Linear(width, 3 * width, bias)
        self.out = nn.Linear(width, width, bias)

    def forward(self, x):
        n, t, c = x.shape
        q, k, v = self.qkv(x).view(n, t, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        scores = q @ k.transpose(-2, -1) * (c // self.heads) ** -0.5
        if self.causal:
            later = torch.ones(t, t, dtype=torch.bool, device=x.device).triu(1)
            scores = scores.masked_fill(later, float("-inf"))
        y = scores.softmax(-1) @ v
        return self.out(y.transpose(1, 2).reshape(n, t, c))


class TextAttention(Attention):
    """Attention that does not see the padding of texts."""

    def forward(self, x):
        n, t, c = x.shape
        q, k, v = self.qkv(x).view(n, t, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        scores = q @ k.transpose(-2, -1) * (c // self.heads) ** -0.5
        hidden = ~self.mask[:, None, None, :]
        if self.causal:
            hidden = hidden | torch.ones(t, t, dtype=torch.bool, device=x.device).triu(1)
        y = scores.masked_fill(hidden, -1e30).softmax(-1) @ v
        return self.out(y.transpose(1, 2).reshape(n, t, c))


class Text(nn.Sequential):
    """Layers for tokens [N, T], whose token 0 is padding, which ends a text."""

    def __init__(self, *layers):
        super().__init__(*layers)
        for m in self.modules():
            if isinstance(m, Attention):
                m.__class__ = TextAttention

    def forward(self, x):
        mask = (x != 0).long().cumprod(1).bool()
        for m in self.modules():
            if isinstance(m, (TextAttention, TextMean)):
                m.mask = mask
        return super().forward(x.long())


class TransformerBlock(nn.Module):
    """A pre-norm transformer layer over sequences [N, T, C]."""

    def __init__(self, width, heads, hidden, causal, norm, activation, dropout):
        super().__init__()
        self.norm1 = norm(width)
        self.attention = Attention(width, heads, causal)
        self.norm2 = norm(width)
        self.linear1 = nn.Linear(width, hidden)
        self.activation = activation
        self.linear2 = nn.Linear(hidden, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x):
        x = x + self.dropout(self.attention(self.norm1(x)))
        return x + self.dropout(self.linear2(self.activation(self.linear1(self.norm2(x)))))


class Residual(nn.Module):
    """Adds what the body computes to its input, or to what the shortcut computes."""

    def __init__(self, body, shortcut=None):
        super().__init__()
        self.body, self.shortcut = body, shortcut

    def forward(self, x):
        return (x if self.shortcut is None else self.shortcut(x)) + self.body(x)
