//! Asking the person at the client, where something is for a person to choose: which host was meant, whether to go on with
//! many. A convenience, never consent: an answer picks among what the caller could have asked for by itself, and everything is
//! decided afterwards as if nobody had been asked. Whoever is not asked, because the client knows no such questions, is
//! neither helped nor hindered.
//!
//! Up to 2025-11-25 the server asks within the call (`elicitation/create`). In 2026-07-28 it cannot: the call is answered with
//! the question and a sealed [`state`], and comes again with both.

pub mod state;

use std::sync::OnceLock;

use lictor_client::policy::Effect;
use lictor_core::{
    clock::Clock as _,
    digest::{Digest, Sha256Builder},
    error::{ErrorCode, Failure},
    job::JobSpec,
    near::near,
};
use lictor_runtime::clock::SystemClock;
use rmcp::{
    ErrorData, RoleServer,
    model::{
        CallToolRequestParams, ClientResult, ElicitRequest, ElicitRequestParams, ElicitResult,
        ElicitationAction, InputRequest, InputRequests, InputRequiredResult, JsonObject, ServerRequest,
    },
    service::RequestContext,
};
use serde_json::{Value, json};

pub(crate) use self::state::States;
use self::state::{ANSWER_WITHIN, Asked, Binding, NotRedeemed};
use crate::{auth::sender, inline, tools::Call};

/// Hosts above which a person is asked whether to go on: as many as a result still tells one by one.
const ASK_ABOVE_HOSTS: usize = 16;
/// The name of the question among those of a round, and of the field that is to be filled in.
const QUESTION: &str = "choice";
/// Most of a command that a question shows.
const MAX_COMMAND: usize = 300;

/// What a call knows of questions.
#[derive(Debug)]
pub(crate) struct Ask<'a> {
    states: &'a States,
    binding: Binding,
    /// What was asked in the round before, and what was answered.
    answered: Option<(Asked, Answered)>,
    /// The question with which this call is to be answered.
    put: OnceLock<InputRequiredResult>,
}

/// What a person said.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Answered {
    /// This.
    Accepted(Value),
    /// No, or nothing.
    Declined,
}

/// Why a call is not looked at: what it brings from the round before is not to be used.
#[derive(Debug)]
pub(crate) enum Stale {
    /// It was good once: for the model to read.
    Told(Failure),
    /// It was not made for this request: an error of the protocol.
    Refused(ErrorData),
}

/// What becomes of a question.
enum Outcome {
    /// It cannot be put: the client knows none, or there is no room.
    NotAsked,
    /// It is answered.
    Answered(Answered),
    /// This call ends with it.
    Put,
}

// === impl Ask ===

impl<'a> Ask<'a> {
    /// For this call of the tool. A state that comes with it is redeemed, whatever becomes of the call.
    ///
    /// # Errors
    /// [`Stale`].
    pub(crate) fn new(
        states: &'a States,
        tool: &'static str,
        request: &CallToolRequestParams,
        context: &RequestContext<RoleServer>,
    ) -> Result<Self, Stale> {
        let arguments = digest(request.arguments.as_ref());
        let binding = Binding { principal: sender(&context.extensions), tool: tool.into(), arguments };
        let answered = match &request.request_state {
            None => None,
            // Where questions come within the call there is no round before: whatever it is, it was not made for this request.
            Some(_) if has_sessions(context) => return Err(refused(NotRedeemed::Foreign)),
            Some(state) => {
                let asked = states.redeem(&binding, state, SystemClock.now()).map_err(refused)?;
                let answers = request.input_responses.as_ref();
                Some((asked, Answered::of(answers.and_then(|answers| answers.get(QUESTION)))))
            }
        };
        Ok(Self { states, binding, answered, put: OnceLock::new() })
    }

    /// The question that the call ends with, if it does.
    pub(crate) fn into_question(self) -> Option<InputRequiredResult> {
        self.put.into_inner()
    }

    async fn put(&self, call: &Call<'_>, asked: Asked, message: String, field: Value) -> Outcome {
        if !knows_forms(&call.context) {
            return Outcome::NotAsked;
        }
        let schema = json!({ "type": "object", "properties": { QUESTION: field }, "required": [QUESTION] });
        let Ok(requested_schema) = serde_json::from_value(schema) else { return Outcome::NotAsked };
        let params = ElicitRequestParams::FormElicitationParams { meta: None, message, requested_schema };
        let request = ElicitRequest::new(params);
        if has_sessions(&call.context) {
            return within_the_call(call, request).await;
        }
        let Some(state) = self.states.seal(&self.binding, asked, SystemClock.now()) else {
            return Outcome::NotAsked;
        };
        let questions = InputRequests::from([(QUESTION.to_owned(), InputRequest::Elicitation(request))]);
        match self.put.set(InputRequiredResult::new(Some(questions), Some(state))) {
            Ok(()) => Outcome::Put,
            // A call puts one question.
            Err(_) => Outcome::NotAsked,
        }
    }
}

/// The host that is meant: the one that a person chose in the round before, or the one that is written.
pub(crate) fn meant(call: &Call<'_>, written: String) -> Result<String, Failure> {
    match &call.ask.answered {
        Some((Asked::Host(offered), answer)) => {
            chosen(offered, answer).ok_or_else(|| crate::resources::no_such_host(&written))
        }
        _ => Ok(written),
    }
}

/// Where there is no host of that name and there are some of nearly that name, asks which is meant.
///
/// # Errors
/// `failure`, where that was another, nobody can be asked, or nobody chose.
pub(crate) async fn which_host(call: &Call<'_>, written: &str, failure: Failure) -> Result<String, Failure> {
    let absent = failure.code == ErrorCode::NotFound
        && failure.details.iter().any(|(name, value)| name == "host" && value == written);
    if !absent || call.ask.answered.is_some() || !knows_forms(&call.context) {
        return Err(failure);
    }
    let hosts = call.client.hosts(None).await?;
    let offered: Vec<String> =
        near(written, hosts.iter().map(|host| host.alias.as_str())).into_iter().map(str::to_owned).collect();
    if offered.is_empty() {
        return Err(failure);
    }
    let message = format!(
        "There is no host {}. Which host is meant? Policy decides afterwards, as for every request.",
        inline::line(written, MAX_COMMAND)
    );
    let field = json!({ "type": "string", "title": "Host", "enum": &offered });
    match call.ask.put(call, Asked::Host(offered.clone()), message, field).await {
        Outcome::Answered(answer) => chosen(&offered, &answer).ok_or(failure),
        Outcome::NotAsked | Outcome::Put => Err(failure),
    }
}

/// Before a job over many hosts, asks whether to go on.
///
/// # Errors
/// `CONFLICT` where the person says no, `UNAVAILABLE` where the call ends with the question.
pub(crate) async fn go_on(call: &Call<'_>, spec: &JobSpec) -> Result<(), Failure> {
    if !knows_forms(&call.context) {
        return Ok(());
    }
    // What is wrong with the request, the request itself tells.
    let Ok(plan) = call.client.plan(spec).await else { return Ok(()) };
    let hosts = plan.hosts.iter().filter(|host| host.effect != Effect::Deny);
    let aliases: Vec<&str> = hosts.map(|host| host.host.as_str()).collect();
    if aliases.len() <= ASK_ABOVE_HOSTS {
        return Ok(());
    }
    let builder = Sha256Builder::new("lictor mcp plan v1").part(plan.command_digest.as_bytes());
    let digest = aliases.iter().fold(builder, |builder, alias| builder.part(alias.as_bytes())).finish();
    let asked = Asked::GoOn(digest.to_string());
    let answer = match &call.ask.answered {
        Some((before, answer)) if *before == asked => Outcome::Answered(answer.clone()),
        // The hosts are others now: what was answered was answered to another question.
        _ => {
            let command = inline::line(&plan.command.render(), MAX_COMMAND);
            let message = format!(
                "Run `{command}` on {} hosts? This is no approval: policy decides in either case.",
                aliases.len()
            );
            let field = json!({ "type": "boolean", "title": "Go on" });
            call.ask.put(call, asked, message, field).await
        }
    };
    match answer {
        Outcome::NotAsked => Ok(()),
        Outcome::Answered(Answered::Accepted(Value::Bool(true))) => Ok(()),
        Outcome::Answered(_) => Err(Failure::new(
            ErrorCode::Conflict,
            "the user was asked whether to go on, and did not say yes; nothing ran",
            "ask the user what to do instead; do not reach the same hosts in another way",
        )),
        Outcome::Put => Err(asked_first()),
    }
}

/// What stands for the answer to a call that ends with a question; never shown.
fn asked_first() -> Failure {
    Failure::new(ErrorCode::Unavailable, "the user is asked first", "answer the question")
}

/// What was chosen, if it was offered.
fn chosen(offered: &[String], answer: &Answered) -> Option<String> {
    match answer {
        Answered::Accepted(Value::String(host)) => offered.iter().find(|offered| *offered == host).cloned(),
        Answered::Accepted(_) | Answered::Declined => None,
    }
}

/// Whether the client has said that it can put forms before its user. One that says nothing of modes means forms.
fn knows_forms(context: &RequestContext<RoleServer>) -> bool {
    let capability = context.client_capabilities().and_then(|capabilities| capabilities.elicitation);
    capability.is_some_and(|modes| modes.form.is_some() || modes.url.is_none())
}

/// Whether the client speaks a version of the protocol in which the server asks within the call.
fn has_sessions(context: &RequestContext<RoleServer>) -> bool {
    context.protocol_version().is_none_or(|version| version.has_initialize())
}

/// Asks while the call waits. A client that does not answer in time has not answered.
async fn within_the_call(call: &Call<'_>, request: ElicitRequest) -> Outcome {
    let asking = call.context.peer.send_request(ServerRequest::ElicitRequest(request));
    let answer = tokio::select! {
        answer = tokio::time::timeout(ANSWER_WITHIN, asking) => answer.ok().and_then(Result::ok),
        () = call.context.ct.cancelled() => None,
    };
    match answer {
        Some(ClientResult::ElicitResult(answer)) => Outcome::Answered(answer.into()),
        _ => Outcome::Answered(Answered::Declined),
    }
}

fn refused(why: NotRedeemed) -> Stale {
    match why {
        NotRedeemed::Foreign => Stale::Refused(ErrorData::invalid_params(why.to_string(), None)),
        NotRedeemed::Expired | NotRedeemed::Used => {
            let next_step = "call the tool again without requestState and inputResponses";
            Stale::Told(Failure::new(ErrorCode::Conflict, why.to_string(), next_step))
        }
    }
}

/// The arguments, however their names are ordered.
fn digest(arguments: Option<&JsonObject>) -> Digest {
    let builder = Sha256Builder::new("lictor mcp arguments v1");
    let sorted = arguments.map(|arguments| sorted(&Value::Object(arguments.clone())).to_string());
    builder.part(sorted.unwrap_or_default().as_bytes()).finish()
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut fields: Vec<(&String, &Value)> = map.iter().collect();
            fields.sort_unstable_by_key(|(name, _)| *name);
            Value::Object(fields.into_iter().map(|(name, value)| (name.clone(), sorted(value))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        other => other.clone(),
    }
}

// === impl Answered ===

impl Answered {
    fn of(response: Option<&Value>) -> Self {
        match response.map(|response| serde_json::from_value::<ElicitResult>(response.clone())) {
            Some(Ok(answer)) => answer.into(),
            Some(Err(_)) | None => Self::Declined,
        }
    }
}

impl From<ElicitResult> for Answered {
    fn from(answer: ElicitResult) -> Self {
        match (answer.action, answer.content) {
            (ElicitationAction::Accept, Some(Value::Object(mut fields))) => {
                fields.remove(QUESTION).map_or(Self::Declined, Self::Accepted)
            }
            _ => Self::Declined,
        }
    }
}
