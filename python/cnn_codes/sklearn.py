"""Estimators for scikit-learn: pictures to codes, and heads on any codes.

>>> from sklearn.linear_model import LogisticRegression
>>> from sklearn.pipeline import make_pipeline
>>> from cnn_codes.sklearn import CnnCodes
>>> model = make_pipeline(CnnCodes("vgg16", pool="avg"), LogisticRegression())
>>> model.fit(paths, classes).predict(["new.jpg"])  # doctest: +SKIP
"""

import collections
import hashlib
import json
import os
import pathlib
import tempfile
import threading

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from . import _native
from ._pictures import check_errors, given
from ._progress import Listener
from ._words import translating, words
from .errors import PictureError
from .trunk import Trunk

try:
    from sklearn.utils.validation import validate_data
except ImportError:  # Before scikit-learn 1.6 it is a method.

    def validate_data(estimator, X, y="no_validation", **options):
        return estimator._validate_data(X, y, **options) if y is not None else estimator._validate_data(X, **options)


__all__ = ["CnnCodes", "HeadClassifier"]

# How many bytes of codes are remembered in a process.
REMEMBERED_BYTES = 512 << 20


class _Remembered:
    """Codes by content and trunk, those that were wanted last, for all estimators of the process: clones share them."""

    def __init__(self, n_bytes):
        self._codes = collections.OrderedDict()
        self._left = n_bytes
        self._lock = threading.Lock()

    def get(self, key):
        with self._lock:
            if key in self._codes:
                self._codes.move_to_end(key)
            return self._codes.get(key)

    def put(self, key, code):
        with self._lock:
            if key in self._codes or code.nbytes > REMEMBERED_BYTES:
                return
            self._codes[key] = code
            self._left -= code.nbytes
            while self._left < 0:
                _, dropped = self._codes.popitem(last=False)
                self._left += dropped.nbytes


_remembered = _Remembered(REMEMBERED_BYTES)
os.register_at_fork(after_in_child=lambda: setattr(_remembered, "_lock", threading.Lock())) if hasattr(
    os, "register_at_fork"
) else None


class CnnCodes(TransformerMixin, BaseEstimator):
    """Pictures to codes.

    A picture's code is computed once: it is remembered by the content of its file (up to 512 MiB in the process, and in
    `cache` for good), so that folds of `cross_val_score` cost nothing.

    Parameters
    ----------
    trunk : str
        The trunk's name, as :func:`cnn_codes.trunks` lists it.
    pool : {"none", "avg", "max"}
        Whole codes, or their mean or maximum over height and width.
    recipe, resize, filter : str, optional
        How pictures become the trunk's input. Default: the card's.
    errors : {"raise", "nan"}
        What is done about a picture that cannot be used: an exception, or NaN in its row.
    cache : path, optional
        A folder in which codes are kept.
    models : path, optional
        The folder of trunks. Default: as `cnn-codes doctor` tells.
    threads : int, optional
        Threads for decoding and for the trunk. Default: the number of cores.

    Attributes
    ----------
    n_features_out_ : int
        How many numbers a code has, D.
    """

    def __init__(
        self, trunk="vgg16", *, pool="none", recipe=None, resize=None, filter=None, errors="raise", cache=None, models=None,
        threads=None
    ):
        self.trunk = trunk
        self.pool = pool
        self.recipe = recipe
        self.resize = resize
        self.filter = filter
        self.errors = errors
        self.cache = cache
        self.models = models
        self.threads = threads

    def fit(self, X, y=None):
        """Loads the trunk; there is nothing to learn.

        Parameters
        ----------
        X : list or array of pictures (N) or (N, 1), or array of uint8 (N, H, W, 3)
            Paths, bytes of picture files, PIL pictures.
        """
        check_errors(self.errors)
        listed(X)
        self.n_features_out_ = self._session().code_len
        return self

    def transform(self, X):
        """The codes of pictures.

        Parameters
        ----------
        X : as in :meth:`fit`

        Returns
        -------
        numpy.ndarray of float32 (N, D)
        """
        check_is_fitted(self, "n_features_out_")
        files, _ = given(listed(X))
        of_trunk = hashlib.blake2b(json.dumps(self._session().identity, sort_keys=True).encode(), digest_size=16).digest()
        keys = [key_of(file, of_trunk) for file in files]
        codes = {}
        for key in keys:
            if key is not None and key not in codes:
                code = self._known(key)
                if code is not None:
                    codes[key] = code
        missing = {}
        for row, key in enumerate(keys):
            if key not in codes:
                missing.setdefault(key if key is not None else row, row)
        if missing:
            rows = list(missing.values())
            computed = self._session().codes([files[row] for row in rows], errors="nan")
            for row, code in zip(rows, computed):
                if np.isnan(code).any():
                    if self.errors == "raise":
                        self._session().codes([files[row]])
                        raise PictureError(f"{files[row]!r:.200} cannot be used; errors='nan' gives NaN in its row")
                    codes[keys[row] if keys[row] is not None else row] = code
                    continue
                self._keep(keys[row], code)
                codes[keys[row]] = code
        return np.stack([codes[key if key is not None else row] for row, key in enumerate(keys)])

    def get_feature_names_out(self, input_features=None):
        """Names of the numbers of a code: ``vgg16_0``, ``vgg16_1``, ..."""
        check_is_fitted(self, "n_features_out_")
        return np.array([f"{self.trunk}_{place}" for place in range(self.n_features_out_)], dtype=object)

    def _session(self):
        options = {
            name: getattr(self, name) for name in ("pool", "recipe", "resize", "filter", "models", "threads")
        }
        options = {name: value for name, value in options.items() if value is not None}
        asked = (self.trunk, tuple(sorted((name, str(value)) for name, value in options.items())))
        session = self.__dict__.get("_loaded")
        if session is None or session[0] != asked:
            session = (asked, _trunk(*asked))
            self._loaded = session
        return session[1]

    def _known(self, key):
        code = _remembered.get(key)
        if code is not None and self.cache is not None and not file_in(self.cache, key).exists():
            self._keep(key, code)
        if code is None and self.cache is not None:
            file = file_in(self.cache, key)
            try:
                code = np.load(file)
            except (FileNotFoundError, ValueError, EOFError):
                return None
            if code.shape != (self._session().code_len,) or code.dtype != np.float32:
                return None
            _remembered.put(key, code)
        return code

    def _keep(self, key, code):
        _remembered.put(key, code)
        if self.cache is None:
            return
        file = file_in(self.cache, key)
        file.parent.mkdir(parents=True, exist_ok=True)
        # Whole, or not there.
        handle, draft = tempfile.mkstemp(dir=file.parent, suffix=".partial")
        with os.fdopen(handle, "wb") as opened:
            np.save(opened, code)
        os.replace(draft, file)

    def __getstate__(self):
        state = super().__getstate__().copy()
        state.pop("_loaded", None)
        return state

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        tags.requires_fit = True
        tags.no_validation = True
        return tags

    def _more_tags(self):
        return {"X_types": ["string"], "no_validation": True}


_trunks: dict = {}
_trunks_lock = threading.Lock()


def _trunk(name, options):
    """A trunk of the process; clones of an estimator share it."""
    with _trunks_lock:
        if (name, options) not in _trunks:
            # One at a time: a trunk is some hundred MB.
            _trunks.clear()
            _trunks[name, options] = Trunk(name, **dict(options))
        return _trunks[name, options]


def listed(X):
    """Pictures as a list."""
    if isinstance(X, (str, bytes, os.PathLike)):
        raise PictureError("one picture is given; give a list of pictures")
    if hasattr(X, "to_numpy"):
        X = X.to_numpy()
    if isinstance(X, np.ndarray):
        if X.dtype == np.uint8 and X.ndim == 4:
            return list(X)
        if X.dtype.kind in "OUS" and X.size == X.shape[0]:
            return [str(item) if isinstance(item, np.str_) else item for item in X.ravel().tolist()]
        raise PictureError(
            f"an array of {X.dtype} {X.shape} is no list of pictures; give paths, bytes, PIL pictures, or uint8 (N, H, W, 3)"
        )
    X = list(X)
    if not X:
        raise PictureError("there are no pictures: the list is empty")
    return X


def key_of(file, of_trunk):
    """What a code is remembered by; None for a file that cannot be read."""
    if not isinstance(file, bytes):
        try:
            with open(file, "rb") as opened:
                file = opened.read()
        except OSError:
            return None
    return hashlib.blake2b(file, digest_size=20, key=of_trunk).hexdigest()


def file_in(cache, key):
    """Where a code is kept."""
    return pathlib.Path(cache) / key[:2] / f"{key[2:]}.npy"


class HeadClassifier(ClassifierMixin, BaseEstimator):
    """One of the program's heads on codes that are an array.

    Parameters
    ----------
    kind : {"logistic", "mlp", "nearest-centroid"}
        Which head.
    hidden : tuple of int
        Units of the MLP's hidden layers.
    dropout : float
        Share of hidden units that a training step of the MLP leaves out.
    epochs, batch_size : int
        Passes of the MLP over the codes, and codes in a step.
    learning_rate : float, optional
        Of the MLP. Default: the optimizer's own.
    l2 : float
        Strength of the logistic regression's penalty; scikit-learn's C is 1 / `l2`.
    balanced : bool
        Whether every class counts the same, however many codes it has.
    random_state : int
        Seed of the MLP.

    Attributes
    ----------
    classes_ : numpy.ndarray (K)
        The classes.
    n_features_in_ : int
        How many numbers a code has, D.
    remark_ : str
        What must be known about the fit, as whether it converged.
    """

    def __init__(
        self, kind="logistic", *, hidden=(256,), dropout=0.5, epochs=20, batch_size=20, learning_rate=None, l2=1.0,
        balanced=False, random_state=0
    ):
        self.kind = kind
        self.hidden = hidden
        self.dropout = dropout
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.l2 = l2
        self.balanced = balanced
        self.random_state = random_state

    def fit(self, X, y):
        """Fits the head.

        Parameters
        ----------
        X : array (N, D)
            Codes; they are taken as float32.
        y : array (N)
            Classes.
        """
        X, y = validate_data(self, X, y, dtype=np.float32)
        check_classification_targets(y)
        self.classes_, labels = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"y has one class, {self.classes_[0]!r}; a classifier needs two or more")
        asked = words(head=self.kind, class_weights="balanced" if self.balanced else None)
        if self.kind == "mlp":
            asked += words(
                hidden=",".join(map(str, self.hidden)) or "none",
                dropout=self.dropout,
                epochs=self.epochs,
                batch_size=self.batch_size,
                learning_rate=self.learning_rate,
                seed=0 if self.random_state is None else int(self.random_state),
            )
        elif self.kind == "logistic":
            asked += words(l2=self.l2)
        with translating(), Listener(False) as listener:
            codes = np.ascontiguousarray(X).tobytes()
            steps, self.remark_ = _native.fit(asked, codes, labels.tolist(), len(self.classes_), listener)
        self.steps_ = [
            (step, [np.frombuffer(numbers, np.float32).reshape(shape).copy() for shape, numbers in arrays])
            for step, arrays in steps
        ]
        return self

    def decision_function(self, X):
        """Logits.

        Returns
        -------
        numpy.ndarray of float32 (N, K), of two classes (N): the second's less the first's
        """
        logits = self._logits(X)
        return logits[:, 1] - logits[:, 0] if len(self.classes_) == 2 else logits

    def predict_proba(self, X):
        """Probabilities of the classes; rows sum to 1.

        Returns
        -------
        numpy.ndarray of float64 (N, K)
        """
        logits = self._logits(X).astype(np.float64)
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)

    def predict(self, X):
        """The most probable class of each code.

        Returns
        -------
        numpy.ndarray (N)
        """
        places = self._logits(X).argmax(axis=1)
        return self.classes_[places]

    def _logits(self, X):
        check_is_fitted(self, "steps_")
        x = validate_data(self, X, dtype=np.float32, reset=False)
        n_dense = sum(step == "dense" for step, _ in self.steps_)
        for step, arrays in self.steps_:
            if step == "centre":
                x = x - arrays[0]
            elif step == "unit_length":
                norms = np.linalg.norm(x, axis=1, keepdims=True)
                x = x / np.where(norms > 0, norms, 1)
            else:
                weights, bias = arrays
                x = x @ weights + bias
                n_dense -= 1
                if n_dense:
                    x = np.maximum(x, 0)
        return x
