"""Writes sklearn.json: random cases and what scikit-learn says about them.

Run by hand in this folder, with Debian 12's python3-sklearn (1.2.1):

    python3 sklearn_fixtures.py > sklearn.json

None stands for a figure that is not defined, where scikit-learn raises, or warns and
returns a number for want of a value.
"""

import json
import sys
import warnings

import numpy as np
from scipy.special import softmax
from sklearn import metrics as m
from sklearn.calibration import calibration_curve

random = np.random.RandomState(20240229)


def defined(figure):
    """The figure, or None if scikit-learn warns or raises."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            return float(np.ravel(figure())[0])
        except (ValueError, Warning):
            return None


def mean(values, weights=None):
    """The mean of the values that are defined."""
    keep = [i for i, v in enumerate(values) if v is not None]
    if not keep or (weights is not None and sum(weights[i] for i in keep) == 0):
        return None
    return float(np.average([values[i] for i in keep], weights=None if weights is None else [weights[i] for i in keep]))


def classification(name, classes, labels, logits=None, probabilities=None):
    labels = np.asarray(labels)
    scores = np.asarray(probabilities if logits is None else logits, dtype=np.float64)
    p = scores if logits is None else softmax(scores, axis=1)
    predicted = scores.argmax(axis=1)
    every = list(range(classes))
    support = [int((labels == c).sum()) for c in every]
    guessed = [int((predicted == c).sum()) for c in every]

    def each(score):
        return [defined(lambda: score(labels, predicted, labels=[c], average=None)) for c in every]

    def averages(score):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            out = {a: float(score(labels, predicted, average=a)) for a in ("macro", "weighted")}
        if classes == 2:
            out["positive"] = each(score)[1]
        return out

    def areas(score):
        of = [defined(lambda: score(labels == c, p[:, c])) for c in every]
        out = {"macro": mean(of), "weighted": mean(of, support)}
        if classes == 2:
            out["positive"] = of[1]
        return of, out

    roc, rocs = areas(m.roc_auc_score)
    if classes > 2 and all(support):  # scikit-learn's own averages
        for a in ("macro", "weighted"):
            rocs[a] = float(m.roc_auc_score(labels, p / p.sum(axis=1, keepdims=True), multi_class="ovr", average=a))
    pr, prs = areas(m.average_precision_score)
    one = len(set(labels)) == 1 or len(set(predicted)) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        balanced = float(m.balanced_accuracy_score(labels, predicted))
        top = [{"k": k, "accuracy": float(m.top_k_accuracy_score(labels, scores, k=k, labels=every))}
               for k in (2, 3, 5, 10) if k < classes]
    want = {
        "samples": len(labels),
        "accuracy": float(m.accuracy_score(labels, predicted)),
        "balanced_accuracy": balanced,
        "precision": averages(m.precision_score), "recall": averages(m.recall_score), "f1": averages(m.f1_score),
        "roc_auc": rocs, "pr_auc": prs,
        "log_loss": float(m.log_loss(labels, p, labels=every)),
        "matthews": None if one else float(m.matthews_corrcoef(labels, predicted)),
        "classes": [dict(zip(("support", "predicted", "precision", "recall", "f1", "roc_auc", "pr_auc"), row))
                    for row in zip(support, guessed, each(m.precision_score), each(m.recall_score), each(m.f1_score), roc, pr)],
        "confusion": m.confusion_matrix(labels, predicted, labels=every).tolist(),
    }
    if top:
        want["top_k"] = top
    case = {"name": name, "classes": classes, "labels": labels.tolist(), "want": want}
    if classes == 2:
        true, predicted = calibration_curve((labels == 1).astype(int), p[:, 1], n_bins=10)
        case["calibration"] = [predicted.tolist(), true.tolist()]
    case["probabilities" if logits is None else "logits"] = scores.tolist()
    return case


def logits(samples, classes, spread=2):
    """Numbers that a float32 holds."""
    return np.round(random.normal(0, spread, (samples, classes)) * 1024) / 1024


def shares(samples, classes, parts=8):
    """Probabilities with many ties, which add up to 1 exactly."""
    return random.multinomial(parts, np.ones(classes) / classes, samples) / parts


def classifications():
    for classes, samples in ((2, 1), (2, 2), (2, 60), (3, 50), (4, 9), (7, 60), (12, 60)):
        labels = random.randint(0, classes, samples)
        z = logits(samples, classes)
        z[np.arange(samples), labels] += 1  # better than chance
        yield classification(f"{samples} samples of {classes} classes", classes, labels, logits=np.round(z * 1024) / 1024)
    for classes, samples in ((2, 40), (3, 40), (6, 60)):
        yield classification(f"{classes} classes with ties", classes, random.randint(0, classes, samples), probabilities=shares(samples, classes))
    yield classification("all scores equal, 2 classes", 2, [0, 1, 1, 0, 1], probabilities=[[0.5, 0.5]] * 5)
    yield classification("all scores equal, 4 classes", 4, [0, 1, 2, 3, 3, 1], probabilities=[[0.25] * 4] * 6)
    yield classification("only the first class", 2, [0] * 20, logits=logits(20, 2))
    yield classification("only the second class", 2, [1] * 20, logits=logits(20, 2))
    yield classification("only one class of 3", 3, [1] * 20, logits=logits(20, 3))
    yield classification("one class of 3 does not occur", 3, random.choice([0, 2], 30), logits=logits(30, 3))
    yield classification("two classes of 5 do not occur", 5, random.choice([0, 1, 4], 30), logits=logits(30, 5))
    never = logits(30, 3)
    never[:, 1] -= 20
    yield classification("a class is never predicted", 3, random.randint(0, 3, 30), logits=never)
    gone = logits(30, 4)
    gone[:, 2] -= 20
    yield classification("a class neither occurs nor is predicted", 4, random.choice([0, 1, 3], 30), logits=gone)
    always = logits(30, 2)
    always[:, 0] += 20
    yield classification("one class is always predicted", 2, random.randint(0, 2, 30), logits=always)
    labels = random.randint(0, 3, 30)
    yield classification("all right", 3, labels, probabilities=np.eye(3)[labels])
    yield classification("all wrong", 3, labels, probabilities=np.eye(3)[(labels + 1) % 3])
    yield classification("rare positive class", 2, (np.arange(80) % 27 == 0).astype(int), logits=logits(80, 2))


def regression(name, targets, predictions):
    y, p = np.asarray(targets, dtype=np.float64), np.asarray(predictions, dtype=np.float64)
    want = {
        "samples": len(y),
        "rmse": float(m.mean_squared_error(y, p, squared=False)),
        "mae": float(m.mean_absolute_error(y, p)),
        "median_absolute_error": float(m.median_absolute_error(y, p)),
        "r2": None if np.ptp(y) == 0 else float(m.r2_score(y, p)),
        "mape": None if (y == 0).any() else float(m.mean_absolute_percentage_error(y, p)),
    }
    return {"name": name, "targets": y.tolist(), "predictions": p.tolist(), "want": want}


def regressions():
    for n in (1, 2, 3, 40, 41):
        y = random.normal(3, 2, n)
        yield regression(f"{n} samples", y, y + random.normal(0, 1, n))
    y = random.normal(1e9, 1, 40)
    yield regression("large numbers that vary little", y, y + random.normal(0, 0.1, 40))
    y = random.normal(1e-9, 1e-10, 40)
    yield regression("small numbers", y, y + random.normal(0, 1e-11, 40))
    yield regression("ties", random.randint(1, 4, 40), random.randint(1, 4, 40))
    yield regression("a target is 0", random.randint(0, 4, 40), random.randint(0, 4, 40))
    yield regression("the target does not vary", [0.1] * 10, random.normal(0, 1, 10))
    yield regression("all right", [1, 2, 3], [1, 2, 3])
    yield regression("worse than the mean", [1, 2, 3, 4], [4, 3, 2, 1])
    yield regression("negative targets", -np.exp(random.normal(0, 3, 40)), -np.exp(random.normal(0, 3, 40)))


json.dump({"classification": list(classifications()), "regression": list(regressions())}, sys.stdout, separators=(",", ":"))
print()
