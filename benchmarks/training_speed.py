"""Training the same network on the same images in the same batches: ours, a plain PyTorch loop,
Lightning, Keras on torch.

Images a processor second, median over steps; the contenders take turns in one process, so that a
busy machine slows all alike. A 32-64-128 convolutional autoencoder on 32x32 colour, batch 128.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "torch")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import lightning as L
import numpy as np
import torch
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from measure import Results, rounded
from residua.training.loop.settings import TrainingSettings
from residua.training.loop.train import plan_training, train_network
from residua.training.networks import ImageShape
from residua.training.networks.conv import ConvAutoencoder
from residua.training.recipes import make_recipe

BATCH, STEPS, TURNS = 128, 12, 3
SHAPE, LATENT = ImageShape(32, 32, 3), 64


class Stamps:
    """Processor seconds between steps."""

    def __init__(self) -> None:
        self.at: list[float] = []

    def __call__(self, *_: Any, **__: Any) -> None:
        self.at.append(time.process_time())

    @property
    def seconds(self) -> list[float]:
        return [after - before for before, after in zip(self.at, self.at[1:], strict=False)][
            1:
        ]  # the first one warms up


class Pictures(Dataset):
    def __init__(self, images: np.ndarray) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> torch.Tensor:
        return torch.from_numpy(self.images[index]).float() / 255


class Plain(L.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.network = network()

    def training_step(self, batch: torch.Tensor) -> torch.Tensor:
        return F.mse_loss(self.network(batch), batch)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), lr=2e-3)


class EachStep(L.Callback):
    def __init__(self, stamps: Stamps) -> None:
        self.stamps = stamps

    def on_train_batch_end(self, *_: Any) -> None:
        self.stamps()


def network() -> ConvAutoencoder:
    torch.manual_seed(0)
    return ConvAutoencoder(SHAPE, LATENT, width=32, depth=3)


def ours(images: np.ndarray, precision: str) -> list[float]:
    stamps, settings = Stamps(), TrainingSettings(epochs=1, batch_size=BATCH, precision=precision)
    recipe, model, tensors = (
        make_recipe("plain", latent=LATENT),
        network(),
        torch.from_numpy(images),
    )
    plan = plan_training(recipe, model, tensors, settings)
    train_network(recipe, model, tensors, tensors[:BATCH], settings, plan, on_step=stamps)
    return stamps.seconds


def plain_loop(images: np.ndarray) -> list[float]:
    stamps, model = Stamps(), network()
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3)
    for batch in DataLoader(Pictures(images), BATCH, shuffle=True):
        loss = F.mse_loss(model(batch), batch)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        stamps()
    return stamps.seconds


def lightning(images: np.ndarray, precision: str) -> list[float]:
    stamps = Stamps()
    trainer = L.Trainer(
        accelerator="cpu",
        max_epochs=1,
        precision=precision,
        callbacks=[EachStep(stamps)],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(Plain(), DataLoader(Pictures(images), BATCH, shuffle=True))
    return stamps.seconds


def keras_on_torch(images: np.ndarray) -> list[float]:
    import keras

    stamps = Stamps()
    layers: list[Any] = [keras.Input((32, 32, 3))]
    for width in (32, 64, 128):
        layers += [
            keras.layers.Conv2D(width, 3, 2, "same", use_bias=False),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
        ]
    layers += [
        keras.layers.Flatten(),
        keras.layers.Dense(LATENT),
        keras.layers.Dense(128 * 16, "relu"),
    ]
    layers += [keras.layers.Reshape((4, 4, 128))]
    for width in (64, 32, 32):
        layers += [
            keras.layers.UpSampling2D(),
            keras.layers.Conv2D(width, 3, padding="same", use_bias=False),
        ]
        layers += [keras.layers.BatchNormalization(), keras.layers.ReLU()]
    model = keras.Sequential([*layers, keras.layers.Conv2D(3, 3, padding="same")])
    model.compile(optimizer=keras.optimizers.AdamW(2e-3), loss="mse")
    x = images.transpose(0, 2, 3, 1).astype(np.float32) / 255
    watch = keras.callbacks.LambdaCallback(on_train_batch_end=stamps)
    model.fit(x, x, batch_size=BATCH, epochs=1, verbose=0, callbacks=[watch])
    return stamps.seconds


def main() -> None:
    images = np.random.default_rng(0).integers(0, 256, (BATCH * STEPS, 3, 32, 32)).astype(np.uint8)
    contenders: dict[str, Callable[[], list[float]]] = {
        "ours, as it trains (bfloat16, channels-last, fused)": lambda: ours(images, "bf16"),
        "ours, float32": lambda: ours(images, "fp32"),
        "PyTorch loop, DataLoader": lambda: plain_loop(images),
        "Lightning": lambda: lightning(images, "32-true"),
        "Lightning, bf16-mixed": lambda: lightning(images, "bf16-mixed"),
        "Keras on torch": lambda: keras_on_torch(images),
    }

    def measure() -> dict[str, Any]:
        seconds: dict[str, list[float]] = {name: [] for name in contenders}
        for _ in range(TURNS):
            for name, run in contenders.items():
                seconds[name] += run()
        rates = {name: BATCH / statistics.median(one) for name, one in seconds.items()}
        first = rates[next(iter(contenders))]
        return {
            "images_a_processor_second": {name: rounded(rate) for name, rate in rates.items()},
            "ours_over": {name: rounded(first / rate) for name, rate in rates.items()},
            "threads": torch.get_num_threads(),
        }

    Results("training_speed").measure("32-64-128 autoencoder, 32x32x3, batch 128", measure)


if __name__ == "__main__":
    main()
