"""Chats and agents, without Spark: each row is one request, costs one call, and fails alone."""

from __future__ import annotations

import json
import warnings

import mlflow
import pandas as pd
import pytest
from mlflow.pyfunc import ChatAgent, ChatModel, ResponsesAgent
from mlflow.types.agent import ChatAgentMessage, ChatAgentResponse
from mlflow.types.llm import ChatChoice, ChatCompletionResponse, ChatMessage
from mlflow.types.responses import ResponsesAgentResponse

from spark_scoring.worker import models as worker_models
from spark_scoring.worker.digest import model_digest
from spark_scoring.worker.loader import ScoringModel
from spark_scoring.worker.protocol import InputColumn, ModelFiles, OutputColumn, Settings

CALLS: list[str] = []


def said(text: str) -> str:
    CALLS.append(text)
    if text == "bad":
        raise ValueError(text)
    return f"{text}!"


class Chats(ChatModel):
    def predict(self, context, messages, params):
        answer = ChatMessage(role="assistant", content=said(messages[-1].content))
        return ChatCompletionResponse(choices=[ChatChoice(message=answer)], model="m")


class Agent(ChatAgent):
    def predict(self, messages, context=None, custom_inputs=None):
        return ChatAgentResponse(
            messages=[ChatAgentMessage(role="assistant", content=said(messages[-1].content), id="1")],
            finish_reason="stop",
        )


class Answers(ResponsesAgent):
    def predict(self, request):
        return ResponsesAgentResponse(
            output=[self.create_text_output_item(text=said(request.input[-1].content), id="1")]
        )


TEXT = {"type": "string"}
ROLE = {"type": "object", "of": {"role": TEXT, "content": TEXT}}


def items(spec):
    return {"type": "array", "of": spec}


# model: its input's name, the two outputs that are read, and where the answer stands in the second.
KINDS = {
    "ChatModel": (Chats, "messages", ("model", "choices"), items({"type": "object", "of": {"message": ROLE}})),
    "ChatAgent": (Agent, "messages", ("finish_reason", "messages"), items(ROLE)),
    "ResponsesAgent": (
        Answers,
        "input",
        ("object", "output"),
        items({"type": "object", "of": {"content": items({"type": "object", "of": {"text": TEXT}})}}),
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_row_is_one_request_and_one_call(kind, tmp_path):
    model, name, outputs, spec = KINDS[kind]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mlflow.pyfunc.save_model(str(tmp_path / "model"), python_model=model(), pip_requirements=[])
    column = items({"type": "object", "of": {"role": TEXT, "content": TEXT}})
    settings = Settings(
        model=ModelFiles(model_digest(str(tmp_path / "model")), str(tmp_path / "model")),
        columns=[InputColumn(name, {"type": "json", "of": column})],
        form="frame",
        outputs=[OutputColumn(outputs[0], TEXT), OutputColumn(outputs[1], spec)],
        on_error="collect",
    )
    texts = ["one", "bad", "two", "one", "bad", "three"]
    requests = [[{"role": "user", "content": text}] for text in texts]
    worker_models._loaded.clear()
    CALLS.clear()
    made = ScoringModel(settings, str(tmp_path)).predict(pd.DataFrame({"0": [json.dumps(one) for one in requests]}))
    assert texts == CALLS
    assert [bool(error) for error in made["e"]] == [text == "bad" for text in texts]
    loaded = mlflow.pyfunc.load_model(str(tmp_path / "model"))
    for row, text in enumerate(texts):
        if text != "bad":
            theirs = loaded.predict(pd.DataFrame({name: [requests[row]]}))
            assert made["v0"][row] == theirs[outputs[0]]
            assert f"{text}!" in made["v1"][row]
