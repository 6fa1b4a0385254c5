# %% [markdown]
# # Tomato, pumpkin, watermelon
#
# The 2018 Keras tutorial on CNN codes: a pretrained VGG16 runs once over the pictures, and a small network learns
# from what it gives. `PICTURES` holds `train` and `validation`, each with a folder for each class.

# %%
import os
import tempfile

import cnn_codes

PICTURES = os.environ.get("PICTURES", "pictures")
PLACE = os.environ.get("PLACE") or tempfile.mkdtemp()

# %% [markdown]
# ## The features
#
# The tutorial calls them bottleneck features: the last pooling layer's output, 7 x 7 x 512 numbers a picture.
# With `recipe="rescale"` pixels become 0 to 1, as the tutorial has it. VGG16 was trained with `caffe`, the card's own.

# %%
stores = {
    recipe: [
        cnn_codes.extract(f"{PICTURES}/{part}", f"{PLACE}/{recipe}/{part}", recipe=recipe, progress=False)
        for part in ("train", "validation")
    ]
    for recipe in ("rescale", "caffe")
}
train, validation = stores["rescale"]
print(train.codes.shape, train.classes)

# %% [markdown]
# ## The model, and its training
#
# Dense(256, relu), Dropout(0.5), Dense(classes, softmax), RMSprop, 20 epochs: the defaults. A logistic regression is trained
# beside it.

# %%
tutorial = cnn_codes.train(train, validation, out=f"{PLACE}/head-of-the-tutorial", progress=False)
tutorial

# %% [markdown]
# ## With the recipe that VGG16 was trained with
#
# One word changes, and most errors are gone.

# %%
caffe = cnn_codes.train(*stores["caffe"], out=f"{PLACE}/head", progress=False)
print(f"rescale: {tutorial.errors}, caffe: {caffe.errors}, of {caffe.judged_pictures}")

# %% [markdown]
# ## The wrong pictures
#
# `report.html` in the head's folder shows them, with the curves of the training.

# %%
for name, head in caffe.heads.items():
    for wrong in head["misclassified"] if head else []:
        print(f"{name}: {wrong['path']} is taken for {wrong['prediction']} ({wrong['confidence']:.0%})")
print("report:", caffe.report)

# %% [markdown]
# ## A new picture

# %%
head = cnn_codes.Head.load(f"{PLACE}/head")
picture = f"{PICTURES}/validation/{validation.paths[0]}"
print(head.predict(picture), dict(zip(head.classes, head.predict_proba(picture).round(3).tolist())))
