"""Cases whose packages are too large for the environment of `make test`; `make test-flavors` has them."""

from __future__ import annotations

from typing import Any

import mlflow
import pandas as pd
from mlflow.models import infer_signature

from tests.flavors.case import Case
from tests.flavors.rows import ARRAY, DAYS, NUMBERS, TEXTS


def _network(units: int) -> Any:
    import keras

    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(units, activation="softmax")])


def _save_keras(folder: str) -> str:
    model = _network(3)
    signature = infer_signature(ARRAY, model.predict(ARRAY, verbose=0))
    mlflow.keras.save_model(model, folder, signature=signature, pip_requirements=[])
    return folder


def _save_keras_by_tensorflow(folder: str) -> str:
    import keras

    keras.utils.set_random_seed(0)
    flights = keras.Input((2,), name="flights")
    model = keras.Model({"flights": flights}, keras.layers.Dense(1)(flights))
    signature = infer_signature({"flights": ARRAY}, model.predict({"flights": ARRAY}, verbose=0))
    mlflow.tensorflow.save_model(model, folder, signature=signature, pip_requirements=[])
    return folder


def _save_tensorflow(folder: str) -> str:
    import tensorflow as tf

    class Weighs(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weights = tf.Variable([[1.5], [-2.25]])

        @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32)])
        def __call__(self, x: Any) -> Any:
            return tf.matmul(x, self.weights)

    mlflow.tensorflow.save_model(Weighs(), folder, signature=infer_signature(ARRAY, ARRAY[:, :1]), pip_requirements=[])
    return folder


def _torch(data: Any, **options: Any) -> Any:
    def save(folder: str) -> str:
        import torch

        torch.manual_seed(0)
        model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU(), torch.nn.Linear(3, 2))
        result = model(torch.from_numpy(ARRAY)).detach().numpy()
        signature = infer_signature(data, pd.DataFrame(result) if isinstance(data, pd.DataFrame) else result)
        mlflow.pytorch.save_model(model, folder, signature=signature, pip_requirements=[], **options)
        return folder

    return save


def _save_transformers(folder: str) -> str:
    import torch
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers

    torch.manual_seed(0)
    words = ["[UNK]", "[PAD]", "good", "bad", "flight", "late", "a"]
    vocabulary = {word: number for number, word in enumerate(words)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    config = transformers.DistilBertConfig(
        vocab_size=len(words),
        dim=8,
        hidden_dim=8,
        n_layers=1,
        n_heads=2,
        id2label={0: "early", 1: "late"},
        label2id={"early": 0, "late": 1},
        max_position_embeddings=16,
    )
    pipeline = transformers.pipeline(
        "text-classification",
        model=transformers.DistilBertForSequenceClassification(config),
        tokenizer=transformers.PreTrainedTokenizerFast(
            tokenizer_object=tokenizer, unk_token="[UNK]", pad_token="[PAD]"
        ),
    )
    signature = infer_signature(TEXTS, pd.DataFrame({"label": ["late"], "score": [0.5]}))
    mlflow.transformers.save_model(pipeline, folder, signature=signature, pip_requirements=[])
    return folder


def _save_prophet(folder: str) -> str:
    from prophet import Prophet

    # Without samples of the uncertainty, which are drawn anew in each call.
    model = Prophet(uncertainty_samples=0).fit(DAYS)
    days = DAYS[["ds"]]
    signature = infer_signature(days, model.predict(days))
    mlflow.prophet.save_model(model, folder, signature=signature, pip_requirements=[])
    return folder


CASES = [
    Case("Keras", "softmax of three", _save_keras, ARRAY, needs=("keras", "tensorflow")),
    Case(
        "TensorFlow",
        "Keras model by mlflow.tensorflow",
        _save_keras_by_tensorflow,
        {"flights": ARRAY},
        needs=("keras", "tensorflow"),
    ),
    Case("TensorFlow", "tf.Module", _save_tensorflow, ARRAY, needs=("tensorflow",)),
    Case("PyTorch", "Sequential, pickle", _torch(NUMBERS, serialization_format="pickle"), NUMBERS, needs=("torch",)),
    Case("PyTorch", "Sequential, pt2", _torch(ARRAY, input_example=ARRAY), ARRAY, needs=("torch",)),
    Case("transformers", "text classification", _save_transformers, TEXTS, needs=("torch", "transformers")),
    Case(
        "prophet",
        "days in no order",
        _save_prophet,
        DAYS[["ds"]].sample(frac=1, random_state=0),
        needs=("prophet",),
        one_by_one=True,
    ),
]
