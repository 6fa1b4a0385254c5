"""Keras' half of mlp.rs: one process, told by lines on its input.

    python mlp_keras.py FOLDER

FOLDER holds train_codes.npy, train_labels.npy, validation_codes.npy and validation_labels.npy. Each
line on the input is a number of epochs to train from the initial weights for; each is answered with
"ok". The model is made and compiled once, so that only the first training pays for it.
"""

import sys
from pathlib import Path

import keras
import numpy as np

HIDDEN, DROPOUT, BATCH, LEARNING_RATE = 256, 0.5, 20, 2e-4

folder = Path(sys.argv[1])
codes, labels, val_codes, val_labels = (
    np.load(folder / f"{name}.npy")
    for name in ("train_codes", "train_labels", "validation_codes", "validation_labels")
)
classes = int(labels.max()) + 1
model = keras.Sequential(
    [
        keras.Input((codes.shape[1],)),
        keras.layers.Dense(HIDDEN, activation="relu"),
        keras.layers.Dropout(DROPOUT),
        keras.layers.Dense(classes, activation="softmax"),
    ]
)
model.compile(
    optimizer=keras.optimizers.RMSprop(LEARNING_RATE),
    loss="categorical_crossentropy",
    metrics=["accuracy"],
)
initial = model.get_weights()
targets = keras.utils.to_categorical(labels, classes)
val_targets = keras.utils.to_categorical(val_labels, classes)

for line in sys.stdin:
    model.set_weights(initial)
    model.fit(
        codes,
        targets,
        batch_size=BATCH,
        epochs=int(line),
        validation_data=(val_codes, val_targets),
        verbose=0,
    )
    print("ok", flush=True)
