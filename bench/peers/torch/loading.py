"""Rows or images a second that PyTorch's DataLoader delivers with two workers, as a line of
JSON. The data are a file of float32 in row-major order, mapped, and a file of int64 labels."""

import argparse
import json
import time

import numpy
import torch
from torch.utils.data import DataLoader, Dataset


class Rows(Dataset):
    def __init__(self, values, labels, width):
        self.labels = numpy.fromfile(labels, dtype=numpy.int64)
        self.values = numpy.memmap(values, dtype=numpy.float32, mode="r", shape=(len(self.labels), width))

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        return torch.from_numpy(numpy.array(self.values[i])), int(self.labels[i])


parser = argparse.ArgumentParser()
parser.add_argument("values")
parser.add_argument("labels")
parser.add_argument("--width", type=int)
parser.add_argument("--batch", type=int)
parser.add_argument("--rows", type=int, help="how many to take")
args = parser.parse_args()
torch.manual_seed(1)
loader = DataLoader(Rows(args.values, args.labels, args.width), batch_size=args.batch, shuffle=True, num_workers=2)
rows, start = 0, time.perf_counter()
for x, y in loader:
    rows += len(y)
    if rows >= args.rows:
        break
print(json.dumps({"rows": rows, "seconds": time.perf_counter() - start, "version": torch.__version__}))
