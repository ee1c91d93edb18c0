"""Train scikit-learn's MLP behind its usual pipeline, and print the figure.

tables.py TRAINING VALIDATION TARGET TASK SEED [IGNORED...]: both files are tables
in CSV or JSON. The figure is the accuracy on the validation rows, or R2 for the
task regression.
"""

import csv
import json
import sys
import warnings

import numpy as np
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.impute import SimpleImputer
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler


def read(path):
    with open(path) as f:
        return json.load(f) if path.endswith(".json") else list(csv.DictReader(f))


def is_missing(cell):
    return cell is None or cell == ""


def is_number(cell):
    try:
        return is_missing(cell) or float(cell) is not None
    except ValueError:
        return False


def main():
    training, validation, target, task, seed, *ignored = sys.argv[1:]
    splits = [[r for r in read(p) if not is_missing(r[target])] for p in (training, validation)]
    names = [n for n in splits[0][0] if n != target and n not in ignored]
    numeric = [all(is_number(r[n]) for s in splits for r in s) for n in names]

    def cells(rows):
        return np.array([[
            (np.nan if is_missing(r[n]) else float(r[n])) if number else ("" if is_missing(r[n]) else str(r[n]))
            for n, number in zip(names, numeric)] for r in rows], dtype=object)

    columns = ColumnTransformer([
        ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), [i for i, number in enumerate(numeric) if number]),
        ("categories", OneHotEncoder(handle_unknown="ignore"), [i for i, number in enumerate(numeric) if not number]),
    ], sparse_threshold=0)
    settings = {"max_iter": 1000, "random_state": int(seed)}
    if task == "regression":
        value = float
        model = TransformedTargetRegressor(MLPRegressor(**settings), transformer=StandardScaler())
    else:
        value = str
        model = MLPClassifier(**settings)
    pipeline = make_pipeline(columns, model)
    warnings.filterwarnings("ignore")  # that it has not converged
    pipeline.fit(cells(splits[0]), np.array([value(r[target]) for r in splits[0]]))
    print(pipeline.score(cells(splits[1]), np.array([value(r[target]) for r in splits[1]])))


main()
