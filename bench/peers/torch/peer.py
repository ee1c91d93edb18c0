"""PyTorch as a peer of bench/cmd/peers; the protocol is that of
bench/internal/wire.

    peer.py [--threads N] [--channels-last] [--foreach]

The thread count and OpenBLAS's kernel (OPENBLAS_CORETYPE) matter most; which
configurations compete, and which won, is written in bench/cmd/peers/torch.go.
"""

import argparse
import json
import sys
import time

import numpy as np
import torch

import models

CHECK_STEPS = 5


def read(path):
    """Returns the header and the tensors, by name, of a file."""
    with open(path, "rb") as f:
        header = json.loads(f.readline())
        tensors = {}
        for t in header["tensors"]:
            count = int(np.prod(t["shape"]))
            data = np.fromfile(f, dtype="<f4", count=count).reshape(t["shape"])
            tensors[t["name"]] = torch.from_numpy(data)
    return header, tensors


class Parameters(dict):
    """Remembers which parameters were used."""

    def __init__(self, tensors):
        super().__init__(tensors)
        self.used = set()

    def __getitem__(self, name):
        self.used.add(name)
        return super().__getitem__(name)


class Peer:
    def __init__(self, options):
        self.options = options

    def load(self, path):
        header, tensors = read(path)
        x, y = tensors.pop("x"), tensors.pop("y")
        validation = tensors.pop("validation_x", []), tensors.pop("validation_y", [])
        work = models.WORKS[header["work"]]
        parameters = Parameters(tensors)
        self.model = work.model(parameters, self.options.channels_last)
        if unused := set(parameters) - parameters.used:
            raise ValueError(f"the model has no parameters {sorted(unused)}")
        self.loss = work.loss
        self.x, self.y = self.prepare(x, y)
        self.validation = self.prepare(*validation)
        self.rates = header.get("rates", [])
        self.optimizer = lambda: work.optimizer(
            self.model.parameters(), header["learning_rate"], self.options.foreach)
        self.start = {k: v.clone() for k, v in self.model.state_dict().items()}
        return {"name": "PyTorch 1.13.1" if torch.__version__.startswith("1.13") else "PyTorch " + torch.__version__}

    def prepare(self, x, y):
        return [self.model.prepare(b) for b in x], [b.reshape(-1).long() for b in y]

    def reset(self):
        self.model.load_state_dict(self.start)
        return self.optimizer()

    def step(self, optimizer, i):
        x, y = self.x[i % len(self.x)], self.y[i % len(self.y)]
        optimizer.zero_grad(set_to_none=True)
        loss = self.loss(self.model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    def check(self, path):
        optimizer = self.reset()
        losses = [self.step(optimizer, i).item() for i in range(CHECK_STEPS)]
        np.array(losses, dtype="<f4").tofile(path)
        return {}

    def run(self, steps):
        optimizer = self.reset()
        start = time.perf_counter()
        for i in range(int(steps)):
            self.step(optimizer, i)
        return {"seconds": time.perf_counter() - start}

    def train(self, path):
        optimizer = self.reset()
        losses = []
        start = time.perf_counter()
        for i, rate in enumerate(self.rates):
            for group in optimizer.param_groups:
                group["lr"] = rate
            losses.append(self.step(optimizer, i).item())
        self.model.eval()
        total, count = 0.0, 0
        with torch.no_grad():
            for x, y in zip(*self.validation):
                total += self.loss(self.model(x), y).item() * len(y)
                count += len(y)
        self.model.train()
        seconds = time.perf_counter() - start
        np.array(losses + [total / count], dtype="<f4").tofile(path)
        return {"seconds": seconds}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--foreach", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    peer = Peer(options)
    commands = {"load": peer.load, "check": peer.check, "run": peer.run, "train": peer.train}
    for line in sys.stdin:
        command, _, argument = line.strip().partition(" ")
        try:
            reply = commands[command](argument)
        except Exception as e:  # the driver puts it into its line
            reply = {"error": f"{type(e).__name__}: {e}"}
        print(json.dumps(reply), flush=True)


if __name__ == "__main__":
    main()
