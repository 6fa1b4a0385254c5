"""The estimators, by scikit-learn's own checks and beside its own classifiers."""

import pickle

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

import cnn_codes
from cnn_codes.sklearn import CnnCodes, HeadClassifier


@parametrize_with_checks(
    [HeadClassifier(), HeadClassifier("mlp", epochs=200), HeadClassifier("nearest-centroid"), CnnCodes()]
)
def test_scikit_learns_checks(estimator, check):
    check(estimator)


def test_codes_and_head_make_a_pipeline(files, validation, tmp_path):
    classes = np.array(validation.classes)[validation.labels]
    codes = CnnCodes("vgg16", pool="avg", cache=tmp_path)
    scores = cross_val_score(make_pipeline(codes, LogisticRegression(max_iter=1000)), files, classes, cv=3)
    assert scores.mean() > 0.7
    scores = cross_val_score(make_pipeline(codes, HeadClassifier(l2=1.0)), files, classes, cv=3)
    assert scores.mean() > 0.7
    assert len(list(tmp_path.glob("*/*.npy"))) == len(files)


def test_codes_are_the_trunks_and_equal_pictures_are_one(files, tmp_path):
    copy = tmp_path / "copy.jpg"
    copy.write_bytes(files[0].read_bytes())
    estimator = CnnCodes("vgg16", pool="avg", cache=tmp_path / "cache")
    codes = estimator.fit_transform([files[0], files[1], copy])
    assert np.array_equal(codes[0], codes[2]) and len(list((tmp_path / "cache").glob("*/*.npy"))) == 2
    assert np.array_equal(codes[:2], cnn_codes.Trunk("vgg16", pool="avg").codes(files[:2]))
    assert list(estimator.get_feature_names_out()[:2]) == ["vgg16_0", "vgg16_1"]
    again = pickle.loads(pickle.dumps(estimator))
    assert np.array_equal(again.transform([files[1]]), codes[1:2])
    # A file of the cache that was cut is made again.
    for file in (tmp_path / "cache").glob("*/*.npy"):
        file.write_bytes(file.read_bytes()[:100])
    import cnn_codes.sklearn as module

    module._remembered = module._Remembered(1 << 20)
    assert np.array_equal(estimator.transform([files[1]]), codes[1:2])


def test_pictures_that_cannot_be_used(files, tmp_path):
    estimator = CnnCodes("vgg16", pool="avg").fit(files)
    with pytest.raises(cnn_codes.PictureError, match="missing.jpg"):
        estimator.transform([files[0], tmp_path / "missing.jpg"])
    codes = CnnCodes("vgg16", pool="avg", errors="nan").fit(files).transform([files[0], tmp_path / "missing.jpg"])
    assert np.isnan(codes).any(axis=1).tolist() == [False, True]
    for given in ([], "one.jpg", np.zeros((3, 4)), np.zeros((3, 4, 4, 3))):
        with pytest.raises(cnn_codes.PictureError):
            estimator.transform(given)


def test_the_logistic_regression_is_scikit_learns(train, validation):
    x, y = train.codes.mean(axis=(1, 2)), train.labels
    ours = HeadClassifier("logistic", l2=1.0).fit(x, y)
    theirs = LogisticRegression(C=1.0, max_iter=10_000, tol=1e-10).fit(x.astype(np.float64), y)
    of_validation = validation.codes.mean(axis=(1, 2))
    np.testing.assert_allclose(ours.predict_proba(of_validation), theirs.predict_proba(of_validation), atol=1e-3)


def test_the_mlp_is_the_programs(train, validation, head):
    fitted = HeadClassifier("mlp", epochs=3).fit(train.codes.reshape(130, -1), train.labels)
    ours = fitted.predict_proba(validation.codes.reshape(33, -1))
    np.testing.assert_allclose(ours, cnn_codes.Head(head, "mlp").predict_proba(validation), atol=1e-4)


def test_arguments_are_checked(train):
    x, y = np.eye(4, dtype=np.float32), [0, 1, 0, 1]
    with pytest.raises(cnn_codes.UsageError, match="kind|head"):
        HeadClassifier("forest").fit(x, y)
    with pytest.raises(cnn_codes.CnnCodesError, match="dropout"):
        HeadClassifier("mlp", dropout=2.0).fit(x, y)
