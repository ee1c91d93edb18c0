"""Runs exported models: run_torch.py FOLDER..."""

import importlib.util
import json
import pathlib
import sys

import torch

torch.set_num_threads(1)
for folder in map(pathlib.Path, sys.argv[1:]):
    spec = importlib.util.spec_from_file_location("model", folder / "model.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    case = json.loads((folder / "case.json").read_text())
    data = bytearray((folder / "input.bin").read_bytes())
    x = torch.frombuffer(data, dtype=getattr(torch, case["dtype"])).reshape(case["shape"])
    net = module.load()
    with torch.no_grad():
        y = net(x)
        for row in range(len(x)):
            assert torch.allclose(net(x[row : row + 1]), y[row : row + 1], atol=1e-5), "a row alone differs"
    y = y.contiguous()
    (folder / "output.bin").write_bytes(y.numpy().tobytes())
    (folder / "shape.json").write_text(json.dumps(list(y.shape)))
    # It can be trained further.
    net.train()(x).sum().backward()
    missing = [name for name, p in net.named_parameters() if p.grad is None]
    assert not missing, f"without a gradient: {missing}"
    if case["dtype"] == "int64" and y.dim() == 3:
        net.eval()
        with torch.no_grad():
            short = net(x[:, :-1])
        assert torch.allclose(short, y[:, :-1], atol=1e-5), "a shorter context differs"
