"""Checks exported models: check_onnx.py FOLDER..."""

import json
import pathlib
import sys

import onnx

for folder in map(pathlib.Path, sys.argv[1:]):
    model = onnx.load(str(folder / "model.onnx"))
    onnx.checker.check_model(model, full_check=True)
    assert model.opset_import[0].version == 17, model.opset_import
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    shapes = {}
    for out in inferred.graph.output:
        dims = out.type.tensor_type.shape.dim
        assert dims[0].dim_param == "batch", dims
        shapes[out.name] = [d.dim_value for d in dims[1:]]
    (folder / "outputs.json").write_text(json.dumps(shapes))
