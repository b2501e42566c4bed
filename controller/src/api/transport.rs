//! How connections are served: how much a peer may have on its way, and whether it lives.

use std::time::Duration;

use lictor_proto::limits::MAX_OUTPUT_STREAMS;
use tonic::transport::Server;

/// How often a silent connection is asked whether it lives; agents ask as often from their side.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// How long the answer may take.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(5);
/// Calls at a time on one connection: the bridge and CI multiplex many waiting jobs over one.
const MAX_CALLS_PER_CONNECTION: u32 = 1024;
/// What may be on its way in one call and not read yet: enough that output is not paced by round trips.
const STREAM_WINDOW_BYTES: u32 = 512 * 1024;
/// Streams that a connection has room for beside those that carry output: the session of an agent, its renewal, and one more.
const OTHER_STREAMS: u32 = 3;
/// What may be on its way in all calls of a connection. More than all streams of output can hold together when none of them
/// is read (while the disk is slow, say): results, heartbeats and confirmed freezes share the connection and never wait for
/// them. If it were the window of one stream, as by default, a single stream that is not read would block everything.
const CONNECTION_WINDOW_BYTES: u32 = (MAX_OUTPUT_STREAMS + OTHER_STREAMS) * STREAM_WINDOW_BYTES;

/// A server of connections that are watched and bounded so.
pub(super) fn server() -> Server {
    Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .max_concurrent_streams(MAX_CALLS_PER_CONNECTION)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use lictor_proto::{
        limits::MAX_CHUNK_BYTES,
        pb::{
            self,
            agent_link_client::AgentLinkClient,
            agent_link_server::{AgentLink, AgentLinkServer},
            agent_message::Message,
        },
    };
    use tokio::{net::TcpListener, sync::mpsc, time::timeout};
    use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
    use tonic::{Request, Response, Status, Streaming};

    use super::*;

    /// Takes messages of a session and leaves every stream of output unread.
    struct Stalled {
        heard: mpsc::Sender<Message>,
        stalled: mpsc::Sender<Streaming<pb::OutputChunk>>,
    }

    impl Stalled {
        async fn stall<T>(&self, request: Request<Streaming<pb::OutputChunk>>) -> Result<T, Status> {
            let _ = self.stalled.send(request.into_inner()).await;
            std::future::pending().await
        }
    }

    #[tonic::async_trait]
    impl AgentLink for Stalled {
        type SessionStream = ReceiverStream<Result<pb::ControllerMessage, Status>>;
        type FetchContentStream = ReceiverStream<Result<pb::FetchContentResponse, Status>>;

        async fn session(
            &self,
            request: Request<Streaming<pb::AgentMessage>>,
        ) -> Result<Response<Self::SessionStream>, Status> {
            let (heard, mut messages) = (self.heard.clone(), request.into_inner());
            let (sender, receiver) = mpsc::channel(1);
            tokio::spawn(async move {
                while let Ok(Some(message)) = messages.message().await {
                    heard.send(message.message.unwrap()).await.unwrap();
                }
                drop(sender);
            });
            Ok(Response::new(ReceiverStream::new(receiver)))
        }
        async fn send_output(
            &self,
            request: Request<Streaming<pb::OutputChunk>>,
        ) -> Result<Response<pb::SendOutputResponse>, Status> {
            self.stall(request).await
        }
        async fn send_live(
            &self,
            request: Request<Streaming<pb::OutputChunk>>,
        ) -> Result<Response<pb::SendLiveResponse>, Status> {
            self.stall(request).await
        }
        async fn fetch_content(
            &self,
            _: Request<pb::FetchContentRequest>,
        ) -> Result<Response<Self::FetchContentStream>, Status> {
            Err(Status::unimplemented("not here"))
        }
        async fn renew(&self, _: Request<pb::RenewRequest>) -> Result<Response<pb::RenewResponse>, Status> {
            Err(Status::unimplemented("not here"))
        }
    }

    /// Fills the stream until nothing more of it goes.
    async fn fill(sender: mpsc::Sender<pb::OutputChunk>) -> mpsc::Sender<pb::OutputChunk> {
        let data = Bytes::from(vec![b'x'; MAX_CHUNK_BYTES]);
        let chunk = || pb::OutputChunk { data: data.clone(), ..pb::OutputChunk::default() };
        // Nothing says that a window is full but that it stays so.
        while timeout(Duration::from_millis(500), sender.send(chunk())).await.is_ok() {}
        sender
    }

    #[tokio::test]
    async fn results_and_confirmed_freezes_pass_every_stream_of_output_that_is_not_read() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (heard, mut hears) = mpsc::channel(16);
        let (stalled, mut stalls) = mpsc::channel(16);
        let service = AgentLinkServer::new(Stalled { heard, stalled });
        let incoming = TcpListenerStream::new(listener);
        tokio::spawn(server().add_service(service).serve_with_incoming(incoming));
        let channel = tonic::transport::Endpoint::new(address).unwrap().connect().await.unwrap();
        let client = AgentLinkClient::new(channel);

        let (session, messages) = mpsc::channel(16);
        let _inbound = client.clone().session(ReceiverStream::new(messages)).await.unwrap();
        let mut full = Vec::new();
        for number in 0..MAX_OUTPUT_STREAMS {
            let (sender, receiver) = mpsc::channel(1);
            let (mut client, chunks) = (client.clone(), ReceiverStream::new(receiver));
            tokio::spawn(async move {
                if number == 0 {
                    client.send_live(chunks).await.map(drop)
                } else {
                    client.send_output(chunks).await.map(drop)
                }
            });
            full.push(tokio::spawn(fill(sender)));
        }
        let mut unread = Vec::new();
        let mut open = Vec::new();
        for stream in full {
            unread.push(stalls.recv().await.unwrap());
            open.push(stream.await.unwrap());
        }

        let results = pb::Results { results: vec![pb::InvocationResult::default(); 24] };
        for message in [
            Message::Results(results.clone()),
            Message::FrozenTaken(pb::FrozenTaken { version: 7 }),
            Message::Heartbeat(pb::Heartbeat::default()),
        ] {
            session.send(pb::AgentMessage { message: Some(message.clone()) }).await.unwrap();
            let heard = timeout(Duration::from_secs(30), hears.recv()).await.expect("it is not held up");
            assert_eq!(heard, Some(message));
        }
        drop((unread, open));
    }
}
