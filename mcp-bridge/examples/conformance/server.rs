//! The fixture as a server: what the suite calls, and what it is answered.

use std::{sync::Arc, time::Duration};

use lictor_core::digest::Digest;
use lictor_mcp_bridge::state::{Binding, States};
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, CancelTaskParams, ClientCapabilities,
        CompleteRequestParams, CompleteResult, CompletionInfo, ContentBlock, ElicitRequest,
        GetPromptRequestParams, GetPromptResponse, GetPromptResult, GetTaskParams, GetTaskResult,
        Implementation, ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult, ListToolsResult,
        LoggingLevel, LoggingMessageNotificationParam, PaginatedRequestParams, ProgressNotificationParam,
        ReadResourceRequestParams, ReadResourceResponse, ReadResourceResult, ServerCapabilities,
        ServerConfig, ServerRequest, SetLevelRequestParams, SubscribeRequestParams, SubscriptionFilter, Tool,
        UnsubscribeRequestParams, UpdateTaskParams,
    },
    service::{RequestContext, SubscriptionContext},
    task_manager::TaskManager,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::broadcast;

use crate::{
    content,
    input::{Round, Seal, Turn, round},
    tasks,
};

/// Between two steps of a tool that tells its progress, as the suite asks for.
const STEP: Duration = Duration::from_millis(50);

/// The fixture; clones are the same.
#[derive(Clone)]
pub(crate) struct Fixture {
    changes: Arc<broadcast::Sender<Change>>,
    states: Arc<States>,
    tasks: TaskManager,
}

impl std::fmt::Debug for Fixture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fixture").finish_non_exhaustive()
    }
}

#[derive(Debug, Clone, Copy)]
enum Change {
    Tools,
    Prompts,
}

fn of<T: DeserializeOwned>(value: Value) -> Result<T, ErrorData> {
    serde_json::from_value(value).map_err(|error| ErrorData::internal_error(error.to_string(), None))
}

fn said(text: impl Into<String>) -> CallToolResult {
    CallToolResult::success(vec![ContentBlock::text(text.into())])
}

impl Fixture {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let states = States::new().map_err(|_| anyhow::anyhow!("the system gives no random bytes"))?;
        let changes = Arc::new(broadcast::channel(16).0);
        Ok(Self { changes, states: Arc::new(states), tasks: TaskManager::new() })
    }

    /// The bridge's seal. Everybody is one principal here, as on a loopback listener without tokens.
    fn seal(&self, name: &str, arguments: &Value) -> Seal<'_> {
        let arguments = Digest::of(arguments.to_string().as_bytes());
        let tool = name.to_owned().into();
        Seal { states: &self.states, binding: Binding { principal: "anybody".into(), tool, arguments } }
    }

    async fn log(&self, context: &RequestContext<RoleServer>, text: &str) {
        let params = LoggingMessageNotificationParam::new(LoggingLevel::Info, json!(text));
        let _ = context.peer.notify_logging_message(params).await;
    }

    async fn elicit(
        &self,
        context: &RequestContext<RoleServer>,
        message: &str,
        schema: Value,
    ) -> Result<CallToolResult, ErrorData> {
        let params = of(json!({"mode": "form", "message": message, "requestedSchema": schema}))?;
        let request = ServerRequest::ElicitRequest(ElicitRequest::new(params));
        match context.peer.send_request(request).await {
            Ok(answer) => {
                let answer = serde_json::to_value(answer).unwrap_or_default();
                Ok(said(format!("User response: action={}, content={}", answer["action"], answer["content"])))
            }
            Err(error) => Ok(CallToolResult::error(vec![ContentBlock::text(error.to_string())])),
        }
    }

    async fn call(
        &self,
        name: &str,
        argument: impl Fn(&str) -> String,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResult, ErrorData> {
        if let Some(shown) = content::shown(name) {
            return of(shown);
        }
        match name {
            "test_error_handling" => {
                let text = "This tool intentionally returns an error for testing";
                Ok(CallToolResult::error(vec![ContentBlock::text(text)]))
            }
            "test_tool_with_logging" => {
                for text in ["Tool execution started", "Tool processing data", "Tool execution completed"] {
                    self.log(context, text).await;
                    tokio::time::sleep(STEP).await;
                }
                Ok(said("logged"))
            }
            // Nothing is logged to a client of the stateless era: it has not asked for it.
            "test_logging_tool" => Ok(said("logged nothing")),
            "test_tool_with_progress" => {
                for done in [0.0, 50.0, 100.0] {
                    if let Some(token) = context.meta.get_progress_token() {
                        let params = ProgressNotificationParam::new(token, done).with_total(100.0);
                        let _ = context.peer.notify_progress(params).await;
                    }
                    tokio::time::sleep(STEP).await;
                }
                Ok(said("done"))
            }
            "test_custom_header" => Ok(said(argument("region"))),
            "test_reconnection" => Ok(said("still here")),
            "test_trigger_tool_change" | "test_trigger_prompt_change" => {
                let change = if name == "test_trigger_tool_change" { Change::Tools } else { Change::Prompts };
                let _ = self.changes.send(change);
                Ok(said("changed"))
            }
            "test_missing_capability" => {
                let capabilities = context.client_capabilities().unwrap_or_default();
                if capabilities.sampling.is_none() {
                    let needed = ClientCapabilities::builder().enable_sampling().build();
                    return Err(ErrorData::missing_required_client_capability(needed));
                }
                Ok(said("it has what is needed"))
            }
            "test_sampling" => {
                let params = of(json!({"maxTokens": 100, "messages": [
                    {"role": "user", "content": {"type": "text", "text": argument("prompt")}}]}))?;
                match context.peer.create_message(params).await {
                    Ok(answer) => {
                        let answer = serde_json::to_value(answer).unwrap_or_default();
                        let text = answer["content"]["text"].as_str().unwrap_or_default();
                        Ok(said(format!("LLM response: {text}")))
                    }
                    Err(error) => Ok(CallToolResult::error(vec![ContentBlock::text(error.to_string())])),
                }
            }
            "test_elicitation" => {
                let schema = json!({"type": "object", "required": ["username", "email"], "properties": {
                    "username": {"type": "string", "description": "User's response"},
                    "email": {"type": "string", "description": "User's email address"}}});
                self.elicit(context, &argument("message"), schema).await
            }
            "test_elicitation_sep1034_defaults" => {
                let schema = json!({"type": "object", "properties": {
                    "name": {"type": "string", "default": "John Doe"},
                    "age": {"type": "integer", "default": 30},
                    "score": {"type": "number", "default": 95.5},
                    "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
                    "verified": {"type": "boolean", "default": true}}});
                self.elicit(context, "Please check the defaults", schema).await
            }
            "test_elicitation_sep1330_enums" => {
                let titled =
                    |values: [(&str, &str); 3]| values.map(|(c, t)| json!({"const": c, "title": t})).to_vec();
                let options = json!(["option1", "option2", "option3"]);
                let schema = json!({"type": "object", "properties": {
                    "untitledSingle": {"type": "string", "enum": options},
                    "titledSingle": {"type": "string", "oneOf": titled([("value1", "First Option"), ("value2", "Second Option"), ("value3", "Third Option")])},
                    "legacyEnum": {"type": "string", "enum": ["opt1", "opt2", "opt3"], "enumNames": ["Option One", "Option Two", "Option Three"]},
                    "untitledMulti": {"type": "array", "items": {"type": "string", "enum": options}},
                    "titledMulti": {"type": "array", "items": {"anyOf": titled([("value1", "First Choice"), ("value2", "Second Choice"), ("value3", "Third Choice")])}}}});
                self.elicit(context, "Please choose", schema).await
            }
            _ => Err(ErrorData::invalid_params(format!("there is no tool named {name:?}"), None)),
        }
    }
}

impl ServerHandler for Fixture {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_tools()
            .enable_tool_list_changed()
            .enable_prompts()
            .enable_prompts_list_changed()
            .enable_resources()
            .enable_resources_subscribe()
            .enable_completions()
            .enable_logging()
            .enable_tasks()
            .build();
        let mut info = ServerConfig::new(capabilities);
        info.server_info = Implementation::new("lictor-conformance-fixture", env!("CARGO_PKG_VERSION"));
        info
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(of(content::tools())?))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        let tools: Vec<Tool> = serde_json::from_value(content::tools()).ok()?;
        tools.into_iter().find(|tool| tool.name == name)
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let asked = Round {
            responses: request.input_responses.as_ref(),
            state: request.request_state.as_deref(),
            capabilities: context.client_capabilities().unwrap_or_default(),
            seal: self.seal(&request.name, &json!(request.arguments)),
        };
        match round(&request.name, &asked) {
            Some(Ok(Turn::Ask(result))) => return Ok(result.into()),
            Some(Ok(Turn::Done(text))) => return Ok(said(text).into()),
            Some(Ok(Turn::Task(name))) => return Ok(tasks::greet(&self.tasks, name)),
            Some(Err(error)) => return Err(error),
            None => {}
        }
        let arguments = request.arguments.unwrap_or_default();
        if let Some(answer) = tasks::call(&self.tasks, &request.name, &arguments, &asked.capabilities).await {
            return answer;
        }
        let argument =
            |name: &str| arguments.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        Ok(self.call(&request.name, argument, &context).await?.into())
    }

    async fn get_task(
        &self,
        request: GetTaskParams,
        _: RequestContext<RoleServer>,
    ) -> Result<GetTaskResult, ErrorData> {
        self.tasks.get_task(&request.task_id).map(GetTaskResult::new)
    }

    async fn update_task(
        &self,
        request: UpdateTaskParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.tasks.update_task(&request.task_id, request.input_responses)
    }

    async fn cancel_task(
        &self,
        request: CancelTaskParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.tasks.cancel_task(&request.task_id)
    }

    async fn list_prompts(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        Ok(ListPromptsResult::with_all_items(of(content::prompts())?))
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        let asked = Round {
            responses: request.input_responses.as_ref(),
            state: request.request_state.as_deref(),
            capabilities: context.client_capabilities().unwrap_or_default(),
            seal: self.seal(&request.name, &json!(request.arguments)),
        };
        match round(&request.name, &asked) {
            Some(Ok(Turn::Ask(result))) => return Ok(result.into()),
            Some(Ok(Turn::Done(text))) => {
                let messages = json!({"resultType": "complete", "messages": [{"role": "user", "content": {"type": "text", "text": text}}]});
                return Ok(of::<GetPromptResult>(messages)?.into());
            }
            Some(Err(error)) => return Err(error),
            Some(Ok(Turn::Task(_))) | None => {}
        }
        let arguments = request.arguments.unwrap_or_default();
        let argument =
            |name: &str| arguments.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let messages = content::prompt(&request.name, argument);
        let messages = messages.ok_or_else(|| ErrorData::invalid_params("there is no such prompt", None))?;
        Ok(of::<GetPromptResult>(messages)?.into())
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        Ok(ListResourcesResult::with_all_items(of(content::resources())?))
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        Ok(ListResourceTemplatesResult::with_all_items(of(content::templates())?))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        match content::resource(&request.uri) {
            Some(contents) => Ok(of::<ReadResourceResult>(contents)?.into()),
            None => Err(ErrorData::resource_not_found(
                "there is no such resource",
                Some(json!({"uri": request.uri})),
            )),
        }
    }

    async fn complete(
        &self,
        _: CompleteRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        let values = CompletionInfo::with_all_values(vec!["paris".into(), "park".into(), "party".into()]);
        Ok(CompleteResult::new(values.map_err(|error| ErrorData::internal_error(error, None))?))
    }

    async fn set_level(
        &self,
        _: SetLevelRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn subscribe(
        &self,
        _: SubscribeRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn unsubscribe(
        &self,
        _: UnsubscribeRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        Ok(())
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        Some(requested.clone())
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        let mut changes = self.changes.subscribe();
        loop {
            tokio::select! {
                () = context.cancelled() => return Ok(()),
                change = changes.recv() => {
                    let told = match change {
                        Ok(Change::Tools) => context.sink().notify_tool_list_changed().await,
                        Ok(Change::Prompts) => context.sink().notify_prompt_list_changed().await,
                        Err(broadcast::error::RecvError::Lagged(_)) => continue,
                        Err(broadcast::error::RecvError::Closed) => return Ok(()),
                    };
                    if told.is_err() {
                        return Ok(());
                    }
                }
            }
        }
    }
}
