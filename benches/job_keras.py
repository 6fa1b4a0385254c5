"""Keras' half of job.rs: one process, told by lines on its input.

    python job_keras.py MODEL.onnx TRAIN VALIDATION

MODEL.onnx is VGG16 without its top, whose weights Keras' own network gets. TRAIN and VALIDATION hold
one folder of pictures per class. The line "extract" runs all pictures through the network, in batches
of 20; "train" trains the tutorial's head on what came out. Each is answered with "ok". Loading
TensorFlow or JAX and building the network happen before the first line; compiling is part of the job,
as it is in the tutorial.
"""

import sys
from pathlib import Path

import keras
import numpy as np
import onnx
from keras.applications.vgg16 import VGG16, preprocess_input
from onnx import numpy_helper

SIDE, BATCH, EPOCHS, HIDDEN, DROPOUT, LEARNING_RATE = 224, 20, 20, 256, 0.5, 2e-4

model_path, *folders = sys.argv[1:]


def network():
    """VGG16 with the weights of the ONNX file."""
    graph = onnx.load(model_path).graph
    weights = {tensor.name: tensor for tensor in graph.initializer}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    vgg16 = VGG16(weights=None, include_top=False, input_shape=(SIDE, SIDE, 3))
    layers = [layer for layer in vgg16.layers if layer.weights]
    assert len(layers) == len(convolutions) == 13
    for layer, node in zip(layers, convolutions):
        filters, bias = (numpy_helper.to_array(weights[name]) for name in node.input[1:3])
        layer.set_weights([filters.transpose(2, 3, 1, 0), bias])
    return vgg16


def codes_of(vgg16, folder):
    """Codes and labels of the pictures of a folder."""
    classes = sorted(path for path in Path(folder).iterdir() if path.is_dir())
    found = [
        (path, index) for index, place in enumerate(classes) for path in sorted(place.iterdir())
    ]
    codes = []
    for first in range(0, len(found), BATCH):
        pictures = [
            keras.utils.img_to_array(keras.utils.load_img(path, target_size=(SIDE, SIDE)))
            for path, _ in found[first : first + BATCH]
        ]
        codes.append(vgg16.predict_on_batch(preprocess_input(np.stack(pictures))))
    codes = np.concatenate(codes)
    labels = keras.utils.to_categorical([index for _, index in found], len(classes))
    return codes.reshape(len(codes), -1), labels


def train(train_set, validation_set):
    """The tutorial's head: 256 hidden units, dropout of a half."""
    head = keras.Sequential(
        [
            keras.Input((train_set[0].shape[1],)),
            keras.layers.Dense(HIDDEN, activation="relu"),
            keras.layers.Dropout(DROPOUT),
            keras.layers.Dense(train_set[1].shape[1], activation="softmax"),
        ]
    )
    head.compile(
        optimizer=keras.optimizers.RMSprop(LEARNING_RATE),
        loss="categorical_crossentropy",
        metrics=["accuracy"],
    )
    head.fit(
        *train_set,
        batch_size=BATCH,
        epochs=EPOCHS,
        validation_data=validation_set,
        verbose=0,
    )


VGG16_NETWORK = network()
SETS = []
for line in sys.stdin:
    if line.strip() == "extract":
        SETS = [codes_of(VGG16_NETWORK, folder) for folder in folders]
    else:
        train(*SETS)
    print("ok", flush=True)
