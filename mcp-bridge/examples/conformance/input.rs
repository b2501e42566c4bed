//! Tools and prompts that ask their client for something before they answer.

use std::collections::BTreeMap;

use lictor_core::clock::Clock as _;
use lictor_mcp_bridge::state::{Asked, Binding, States};
use lictor_runtime::clock::SystemClock;
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
    pub(crate) seal: Seal<'a>,
}

/// The bridge's own seal, for this tool or prompt: what was asked is the name of a round.
pub(crate) struct Seal<'a> {
    pub(crate) states: &'a States,
    pub(crate) binding: Binding,
}

impl Seal<'_> {
    fn seal(&self, round: &str) -> Result<String, ErrorData> {
        let asked = Asked::GoOn(round.to_owned());
        let sealed = self.states.seal(&self.binding, asked, SystemClock.now());
        sealed.ok_or_else(|| ErrorData::internal_error("there is no room for a question", None))
    }
    fn redeem(&self, state: &str) -> Result<String, ErrorData> {
        match self.states.redeem(&self.binding, state, SystemClock.now()) {
            Ok(Asked::GoOn(round)) => Ok(round),
            Ok(Asked::Host(_)) => Err(ErrorData::invalid_params("it was asked for something else", None)),
            Err(why) => Err(ErrorData::invalid_params(why.to_string(), None)),
        }
    }
}

/// What comes of a round.
pub(crate) enum Turn {
    Ask(InputRequiredResult),
    Done(String),
    /// The rest is done by a task, for this name.
    Task(String),
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

fn ask(seal: &Seal<'_>, requests: &[(&str, Value)], state: Option<&str>) -> Result<Turn, ErrorData> {
    let requests: Result<BTreeMap<String, InputRequest>, _> = requests
        .iter()
        .map(|(name, request)| Ok(((*name).to_owned(), serde_json::from_value(request.clone())?)))
        .collect();
    let requests =
        requests.map_err(|error: serde_json::Error| ErrorData::internal_error(error.to_string(), None))?;
    let requests = (!requests.is_empty()).then_some(requests);
    let state = state.map(|state| seal.seal(state)).transpose()?;
    Ok(Turn::Ask(InputRequiredResult::new(requests, state)))
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
    /// What was asked in the round before; from then on its state is of no use.
    fn opened_state(&self) -> Result<Option<String>, ErrorData> {
        self.state.map(|state| self.seal.redeem(state)).transpose()
    }
}

/// A round of the tool or prompt of this name; `None` for one that asks for nothing.
pub(crate) fn round(name: &str, round: &Round<'_>) -> Option<Result<Turn, ErrorData>> {
    if name == "test_tool_with_task" {
        return Some(match round.field("user_name", "name").and_then(Value::as_str) {
            Some(name) => Ok(Turn::Task(name.to_owned())),
            None => {
                let form = elicit("What is your name?", "name", "string");
                ask(&round.seal, &[("user_name", form)], Some("name"))
            }
        });
    }
    Some(
        match name
            .strip_prefix("test_input_required_result_")
            .or_else(|| name.strip_prefix("test_streaming_"))?
        {
            "elicitation" => match round.field("user_name", "name").and_then(Value::as_str) {
                Some(name) => Ok(Turn::Done(format!("Hello, {name}!"))),
                None => {
                    ask(&round.seal, &[("user_name", elicit("What is your name?", "name", "string"))], None)
                }
            },
            "sampling" => match round.answer("capital_question") {
                Some(answer) => {
                    Ok(Turn::Done(answer["content"]["text"].as_str().unwrap_or("no text").to_owned()))
                }
                None => {
                    ask(&round.seal, &[("capital_question", sample("What is the capital of France?"))], None)
                }
            },
            "list_roots" => match round.answer("client_roots") {
                Some(answer) => Ok(Turn::Done(format!("roots: {}", answer["roots"]))),
                None => ask(&round.seal, &[("client_roots", roots())], None),
            },
            "request_state" => {
                match (round.opened_state().as_ref().map(Option::as_deref), round.answer("confirm")) {
                    (Err(error), _) => Err(error.clone()),
                    (Ok(Some("confirm")), Some(_)) => Ok(Turn::Done("state-ok".into())),
                    _ => ask(
                        &round.seal,
                        &[("confirm", elicit("Please confirm", "ok", "boolean"))],
                        Some("confirm"),
                    ),
                }
            }
            "tampered_state" => {
                match (round.opened_state().as_ref().map(Option::as_deref), round.answer("confirm")) {
                    (Err(error), _) => Err(error.clone()),
                    (Ok(Some("tamper")), Some(_)) => Ok(Turn::Done("state-ok".into())),
                    _ => ask(
                        &round.seal,
                        &[("confirm", elicit("Please confirm", "ok", "boolean"))],
                        Some("tamper"),
                    ),
                }
            }
            "multiple_inputs" => {
                let all =
                    ["user_name", "greeting", "client_roots"].iter().all(|name| round.answer(name).is_some());
                match (round.opened_state().as_ref().map(Option::as_deref), all) {
                    (Err(error), _) => Err(error.clone()),
                    (Ok(Some("multiple")), true) => Ok(Turn::Done("all three".into())),
                    _ => ask(
                        &round.seal,
                        &[
                            ("user_name", elicit("What is your name?", "name", "string")),
                            ("greeting", sample("Generate a greeting")),
                            ("client_roots", roots()),
                        ],
                        Some("multiple"),
                    ),
                }
            }
            "multi_round" => match round.opened_state().as_ref().map(Option::as_deref) {
                Err(error) => Err(error.clone()),
                Ok(Some("round-1")) if round.answer("step1").is_some() => ask(
                    &round.seal,
                    &[("step2", elicit("Step 2: What is your favorite color?", "color", "string"))],
                    Some("round-2"),
                ),
                Ok(Some("round-2")) if round.answer("step2").is_some() => {
                    Ok(Turn::Done("three rounds".into()))
                }
                Ok(_) => ask(
                    &round.seal,
                    &[("step1", elicit("Step 1: What is your name?", "name", "string"))],
                    Some("round-1"),
                ),
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
                    ask(&round.seal, &requests, None)
                }
            }
            "prompt" => match round.field("user_context", "context").and_then(Value::as_str) {
                Some(context) => Ok(Turn::Done(format!("Context: {context}"))),
                None => {
                    let form = elicit("What context should the prompt use?", "context", "string");
                    ask(&round.seal, &[("user_context", form)], None)
                }
            },
            _ => return None,
        },
    )
}
