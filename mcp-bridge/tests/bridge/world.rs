//! A real MCP client, the bridge, and a fake controller, each connected in memory.

use std::sync::Arc;

use hyper_util::rt::TokioIo;
use lictor_client::connect::Client;
use lictor_mcp_bridge::{identity::Identity, server::Bridge};
use lictor_proto::pb::{
    fleet_service_server::FleetServiceServer, job_service_server::JobServiceServer,
    policy_service_server::PolicyServiceServer,
};
use rmcp::{
    ClientHandler, ClientLifecycleMode, ClientServiceExt as _, ErrorData, RoleClient, ServiceExt as _,
    model::{
        CallToolRequestParams, CallToolResult, ClientCapabilities, ClientConfig, ElicitRequestParams,
        ElicitResult, ExtensionCapabilities, Implementation, NotificationMetaObject,
        ProgressNotificationParam, ProtocolVersion, Tool,
    },
    service::{NotificationContext, RequestContext, RunningService},
};
use serde_json::Value;
use tokio::{
    io::{DuplexStream, duplex},
    sync::mpsc,
};
use tokio_stream::{StreamExt as _, wrappers::UnboundedReceiverStream};
use tonic::transport::{Endpoint, Server};
use tower::service_fn;

use crate::fake::Fake;

/// Bytes in flight between two ends.
const PIPE: usize = 64 * 1024;

/// The two eras of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Era {
    Legacy,
    Modern,
}

pub(crate) struct World {
    pub(crate) fake: Fake,
    pub(crate) bridge: Bridge,
    pub(crate) mcp: RunningService<RoleClient, Listener>,
    pub(crate) progress: mpsc::UnboundedReceiver<ProgressNotificationParam>,
}

/// What the person at the client says to a question.
pub(crate) type Person = fn(&str) -> ElicitResult;

/// The MCP client's ear, and what the client declares.
#[derive(Clone)]
pub(crate) struct Listener {
    heard: mpsc::UnboundedSender<ProgressNotificationParam>,
    declared: ClientCapabilities,
    person: Option<Person>,
}

impl ClientHandler for Listener {
    async fn on_progress(&self, params: ProgressNotificationParam, context: NotificationContext<RoleClient>) {
        let mut params = params;
        // This client leaves it where it keeps what came beside the message.
        params.meta = context.extensions.get::<NotificationMetaObject>().cloned();
        let _ = self.heard.send(params);
    }
    async fn create_elicitation(
        &self,
        request: ElicitRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        let ElicitRequestParams::FormElicitationParams { message, .. } = request else { panic!("a form") };
        Ok(self.person.unwrap()(&message))
    }
    fn get_info(&self) -> ClientConfig {
        ClientConfig::new(self.declared.clone(), Implementation::from_build_env())
    }
}

impl World {
    pub(crate) async fn new(era: Era) -> Self {
        let fake = Fake::default();
        Self::with(fake.clone(), Client::over(channel(fake), "memory"), era).await
    }

    /// With somebody who answers questions.
    pub(crate) async fn with_person(era: Era, person: Person) -> Self {
        let fake = Fake::default();
        let declared = ClientCapabilities::builder().enable_elicitation().build();
        Self::connected(fake.clone(), Client::over(channel(fake), "memory"), era, declared, Some(person))
            .await
    }

    /// A client that declares extensions.
    pub(crate) async fn declaring(era: Era, extensions: ExtensionCapabilities) -> Self {
        let fake = Fake::default();
        let declared = ClientCapabilities::builder().enable_extensions_with(extensions).build();
        Self::connected(fake.clone(), Client::over(channel(fake), "memory"), era, declared, None).await
    }

    pub(crate) async fn with(fake: Fake, client: Client, era: Era) -> Self {
        Self::connected(fake, client, era, ClientCapabilities::default(), None).await
    }

    async fn connected(
        fake: Fake,
        client: Client,
        era: Era,
        declared: ClientCapabilities,
        person: Option<Person>,
    ) -> Self {
        let bridge = Bridge::new(Identity::new(client, None)).unwrap();
        let (near, far) = duplex(PIPE);
        let server = bridge.clone();
        tokio::spawn(async move {
            let running = server.serve(far).await.unwrap();
            running.waiting().await.unwrap();
        });
        let (heard, progress) = mpsc::unbounded_channel();
        let listener = Listener { heard, declared, person };
        let mcp = match era {
            Era::Legacy => listener.serve(near).await.unwrap(),
            Era::Modern => {
                let preferred_versions = vec![ProtocolVersion::V_2026_07_28];
                listener
                    .serve_with_lifecycle(near, ClientLifecycleMode::Discover { preferred_versions })
                    .await
                    .unwrap()
            }
        };
        Self { fake, bridge, mcp, progress }
    }

    /// Calls a tool and checks its answer against the tool's own schema.
    pub(crate) async fn call(&self, tool: &str, arguments: Value) -> Answer {
        let result = self.mcp.call_tool(request(tool, arguments)).await.unwrap();
        let tools = self.mcp.list_all_tools().await.unwrap();
        let tool = tools.iter().find(|t| t.name == tool).unwrap();
        Answer::checked(result, tool)
    }
}

pub(crate) fn request(tool: &str, arguments: Value) -> CallToolRequestParams {
    let Value::Object(arguments) = arguments else { panic!("arguments are an object") };
    CallToolRequestParams::new(tool.to_owned()).with_arguments(arguments)
}

/// A tool's answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) is_error: bool,
    pub(crate) body: Value,
    pub(crate) text: String,
}

impl Answer {
    fn checked(result: CallToolResult, tool: &Tool) -> Self {
        let body = result.structured_content.unwrap();
        let text = result.content[0].as_text().unwrap().text.clone();
        assert_eq!(
            serde_json::from_str::<Value>(&text).unwrap(),
            body,
            "the text says the same as the structure"
        );
        let is_error = result.is_error.unwrap();
        if let Some(schema) = tool.output_schema.as_deref() {
            check(&body, &Value::Object(schema.clone()), is_error);
        }
        Self { is_error, body, text }
    }
}

/// The form of a refusal, which is no result and the same for every tool.
const REFUSAL: [(&str, &str); 5] = [
    ("code", "string"),
    ("message", "string"),
    ("next_step", "string"),
    ("denial_reason", "string"),
    ("details", "object"),
];

/// As much of JSON Schema as the tools' schemas use at their top.
fn check(body: &Value, schema: &Value, is_error: bool) {
    for (name, value) in body.as_object().unwrap() {
        let of_refusal = REFUSAL.iter().find(|(known, _)| is_error && known == name).map(|(_, form)| *form);
        let property = &schema["properties"][name];
        let defined = property["$ref"].as_str().and_then(|at| schema.pointer(at.trim_start_matches('#')));
        let expected = of_refusal.or(defined.unwrap_or(property)["type"].as_str());
        let found = match value {
            Value::String(_) => "string",
            Value::Bool(_) => "boolean",
            Value::Number(_) => "integer",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
            Value::Null => "null",
        };
        assert_eq!(expected, Some(found), "{name} in {schema}");
    }
    let refusal = REFUSAL.iter().take(3).all(|(name, _)| body[name].is_string());
    assert!(!is_error || refusal, "{body} says no code, message or next step");
}

/// A channel to a controller in memory.
pub(crate) fn channel(fake: Fake) -> tonic::transport::Channel {
    let (connect, connections) = mpsc::unbounded_channel::<DuplexStream>();
    let incoming = UnboundedReceiverStream::new(connections).map(Ok::<_, std::io::Error>);
    let fake = Arc::new(fake);
    tokio::spawn(
        Server::builder()
            .add_service(JobServiceServer::from_arc(Arc::clone(&fake)))
            .add_service(FleetServiceServer::from_arc(Arc::clone(&fake)))
            .add_service(PolicyServiceServer::from_arc(fake))
            .serve_with_incoming(incoming),
    );
    Endpoint::from_static("http://memory.invalid").connect_with_connector_lazy(service_fn(move |_| {
        let (near, far) = duplex(PIPE);
        let sent = connect.send(far).map_err(|_| std::io::Error::from(std::io::ErrorKind::ConnectionRefused));
        async move { sent.map(|()| TokioIo::new(near)) }
    }))
}
