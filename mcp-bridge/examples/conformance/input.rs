//! Tools and prompts that ask their client for something before they answer.

use std::collections::BTreeMap;

use rmcp::{
    ErrorData,
    model::{ClientCapabilities, InputRequest, InputRequiredResult},
};
use serde_json::{Value, json};

/// What a client sent along with its second try.
pub(crate) struct Round<'a> {
    pub(crate) responses: Option<&'a BTreeMap<String, Value>>,
    pub(crate) state: Option<&'a str>,
    pub(crate) capabilities: ClientCapabilities,
}

/// What comes of a round.
pub(crate) enum Turn {
    Ask(InputRequiredResult),
    Done(String),
}

fn elicit(message: &str, field: &str, kind: &str) -> Value {
    json!({"method": "elicitation/create", "params": {"mode": "form", "message": message, "requestedSchema": {
        "type": "object", "properties": {field: {"type": kind}}, "required": [field]}}})
}

fn sample(text: &str) -> Value {
    json!({"method": "sampling/createMessage", "params": {"maxTokens": 100,
        "messages": [{"role": "user", "content": {"type": "text", "text": text}}]}})
}

fn roots() -> Value {
    json!({"method": "roots/list", "params": {}})
}

fn ask(requests: &[(&str, Value)], state: Option<&str>) -> Result<Turn, ErrorData> {
    let requests: Result<BTreeMap<String, InputRequest>, _> = requests
        .iter()
        .map(|(name, request)| Ok(((*name).to_owned(), serde_json::from_value(request.clone())?)))
        .collect();
    let requests =
        requests.map_err(|error: serde_json::Error| ErrorData::internal_error(error.to_string(), None))?;
    let requests = (!requests.is_empty()).then_some(requests);
    Ok(Turn::Ask(InputRequiredResult::new(requests, state.map(sealed))))
}

/// A fixture's secret: nothing hangs on it.
fn sealed(state: &str) -> String {
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, b"conformance fixture");
    let tag = aws_lc_rs::hmac::sign(&key, state.as_bytes());
    let tag: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{state}.{tag}")
}

fn opened(sealed_state: &str) -> Result<&str, ErrorData> {
    let state = sealed_state.split('.').next().unwrap_or_default();
    if sealed(state) == sealed_state {
        Ok(state)
    } else {
        Err(ErrorData::invalid_params("the requestState is not one that this server made", None))
    }
}

impl Round<'_> {
    fn answer(&self, name: &str) -> Option<&Value> {
        self.responses?.get(name)
    }
    /// The field of an accepted form.
    fn field(&self, name: &str, field: &str) -> Option<&Value> {
        let answer = self.answer(name)?;
        (answer["action"] == "accept").then(|| &answer["content"][field]).filter(|value| !value.is_null())
    }
    fn opened_state(&self) -> Result<Option<&str>, ErrorData> {
        self.state.map(opened).transpose()
    }
}

/// A round of the tool or prompt of this name; `None` for one that asks for nothing.
pub(crate) fn round(name: &str, round: &Round<'_>) -> Option<Result<Turn, ErrorData>> {
    Some(
        match name
            .strip_prefix("test_input_required_result_")
            .or_else(|| name.strip_prefix("test_streaming_"))?
        {
            "elicitation" => match round.field("user_name", "name").and_then(Value::as_str) {
                Some(name) => Ok(Turn::Done(format!("Hello, {name}!"))),
                None => ask(&[("user_name", elicit("What is your name?", "name", "string"))], None),
            },
            "sampling" => match round.answer("capital_question") {
                Some(answer) => {
                    Ok(Turn::Done(answer["content"]["text"].as_str().unwrap_or("no text").to_owned()))
                }
                None => ask(&[("capital_question", sample("What is the capital of France?"))], None),
            },
            "list_roots" => match round.answer("client_roots") {
                Some(answer) => Ok(Turn::Done(format!("roots: {}", answer["roots"]))),
                None => ask(&[("client_roots", roots())], None),
            },
            "request_state" => match (round.opened_state(), round.answer("confirm")) {
                (Err(error), _) => Err(error),
                (Ok(Some("confirm")), Some(_)) => Ok(Turn::Done("state-ok".into())),
                _ => ask(&[("confirm", elicit("Please confirm", "ok", "boolean"))], Some("confirm")),
            },
            "tampered_state" => match (round.opened_state(), round.answer("confirm")) {
                (Err(error), _) => Err(error),
                (Ok(Some("tamper")), Some(_)) => Ok(Turn::Done("state-ok".into())),
                _ => ask(&[("confirm", elicit("Please confirm", "ok", "boolean"))], Some("tamper")),
            },
            "multiple_inputs" => {
                let all =
                    ["user_name", "greeting", "client_roots"].iter().all(|name| round.answer(name).is_some());
                match (round.opened_state(), all) {
                    (Err(error), _) => Err(error),
                    (Ok(Some("multiple")), true) => Ok(Turn::Done("all three".into())),
                    _ => ask(
                        &[
                            ("user_name", elicit("What is your name?", "name", "string")),
                            ("greeting", sample("Generate a greeting")),
                            ("client_roots", roots()),
                        ],
                        Some("multiple"),
                    ),
                }
            }
            "multi_round" => match round.opened_state() {
                Err(error) => Err(error),
                Ok(Some("round-1")) if round.answer("step1").is_some() => ask(
                    &[("step2", elicit("Step 2: What is your favorite color?", "color", "string"))],
                    Some("round-2"),
                ),
                Ok(Some("round-2")) if round.answer("step2").is_some() => {
                    Ok(Turn::Done("three rounds".into()))
                }
                Ok(_) => {
                    ask(&[("step1", elicit("Step 1: What is your name?", "name", "string"))], Some("round-1"))
                }
            },
            "capabilities" => {
                let mut requests = Vec::new();
                if round.capabilities.elicitation.is_some() {
                    requests.push(("form", elicit("What is your name?", "name", "string")));
                }
                if round.capabilities.sampling.is_some() {
                    requests.push(("sample", sample("Say something")));
                }
                if requests.is_empty() {
                    Ok(Turn::Done("nothing to ask".into()))
                } else {
                    ask(&requests, None)
                }
            }
            "prompt" => match round.field("user_context", "context").and_then(Value::as_str) {
                Some(context) => Ok(Turn::Done(format!("Context: {context}"))),
                None => {
                    let form = elicit("What context should the prompt use?", "context", "string");
                    ask(&[("user_context", form)], None)
                }
            },
            _ => return None,
        },
    )
}
