"""The Python half of fine_tune.rs: the last block of VGG16 in PyTorch, told by lines on its input.

    fine_tune_torch.py BATCH THREADS

A line on the input is "warm", for one batch, or "epoch", for all pictures. Each is answered with "ok".
"""

import os
import sys

import torch
from torch import nn

# What libraries print on standard output must not get between the answers.
answers = open(os.dup(1), "w", buffering=1)
os.dup2(2, 1)

batch, threads = map(int, sys.argv[1:])
torch.set_num_threads(threads)
torch.manual_seed(1)
# As oneDNN likes it best, and as codes lie.
LAYOUT = torch.channels_last
codes = torch.rand(600, 512, 14, 14).sub_(0.5).relu_().to(memory_format=LAYOUT)
layers = [layer for _ in range(3) for layer in (nn.Conv2d(512, 512, 3, padding=1), nn.ReLU(inplace=True))]
tail = nn.Sequential(*layers, nn.MaxPool2d(2)).to(memory_format=LAYOUT)
optimizer = torch.optim.SGD(tail.parameters(), lr=1e-6, momentum=0.9)


def epoch(codes):
    for inputs in codes.split(batch):
        optimizer.zero_grad()
        outputs = tail(inputs)
        outputs.backward(outputs.detach())
        optimizer.step()


for line in sys.stdin:
    epoch(codes[:batch] if line.strip() == "warm" else codes)
    print("ok", file=answers)
