//! What the doctor looks at where a bridge serves HTTP: its listener, its certificate, its issuer's keys, and whether it answers
//! clients of both eras.

use std::{io, net::SocketAddr, time::Duration};

use bytes::Bytes;
use http::{Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use lictor_mcp_bridge::http::config::{ENDPOINT, HttpConfig, TlsFiles};
use lictor_oauth::fetch::KeysUrl;
use lictor_runtime::exit::Exit;
use rustls::{
    crypto::aws_lc_rs::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    sign::CertifiedKey,
};
use serde_json::Value;
use tokio::{net::TcpStream, time::timeout};

use super::era::Era;
use crate::{commands::doctor::Finding, commands::serve::chain, home::Home};

/// How long a listener may take to answer.
const ANSWER_WAIT: Duration = Duration::from_secs(10);
/// Longest answer that is read: the first word is short.
const MAX_ANSWER: usize = 256 * 1024;
/// Where an endpoint describes itself to clients that have no token (RFC 9728).
const DESCRIPTION: &str = "/.well-known/oauth-protected-resource/mcp";

/// What an endpoint says to a first word.
enum Said {
    /// It is Lictor.
    Lictor,
    /// Who asks has to log in first.
    Token,
}

/// What the section `http` of the bridge's file needs, and what serves by it.
pub(super) async fn served(config: &HttpConfig, home: &Home) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(files) = &config.tls {
        findings.push(match certificate(files) {
            Ok(count) => Finding::ok("tls", format!("{}: {count} in the chain", files.certificate.display())),
            Err(why) => Finding::fail("tls", why, "correct http.tls in bridge.yml", Exit::Usage),
        });
    }
    if let Some(tokens) = &config.tokens {
        findings.push(match tokens.check().await {
            Ok(()) => Finding::ok("tokens", format!("the keys of {} can be read", tokens.issuer())),
            Err(error) => {
                let next_step = "correct http.tokens.keys in bridge.yml, or the network to the issuer: without keys every token \
                     is refused (503)";
                Finding::fail("tokens", format!("{}: {}", tokens.issuer(), chain(&error)), next_step, Exit::Unreachable)
            }
        });
    }
    let listen = config.listen;
    let start = format!("lictor-mcp-bridge --http --config {}", home.bridge_file().display());
    findings.push(match timeout(ANSWER_WAIT, TcpStream::connect(reached(listen))).await {
        Ok(Ok(_)) if config.tls.is_some() => Finding::ok("http", format!("something listens on {listen}")),
        Ok(Ok(_)) => match both(reached(listen), &listen.to_string()).await {
            Ok(Said::Lictor) => Finding::ok("http", format!("{listen} answers in both eras")),
            Ok(Said::Token) => Finding::ok("http", format!("{listen} answers, and asks for a token")),
            Err(why) => Finding::fail("http", format!("{listen}: {why}"), start, Exit::Unreachable),
        },
        Ok(Err(_)) | Err(_) => Finding::warn("http", format!("nothing listens on {listen}"), start),
    });
    findings
}

/// Whether the URL in a client's file leads to a bridge.
pub(super) async fn client(title: &str, url: &str, again: String) -> Finding {
    match answers(url).await {
        Ok(Said::Lictor) => Finding::ok("client", format!("{title}: {url} answers in both eras")),
        Ok(Said::Token) => Finding::ok("client", format!("{title}: {url} answers, and asks for a token")),
        Err(why) => {
            let next_step = format!("start the bridge there, or name another: {again} --http URL");
            Finding::fail("client", format!("{title} uses {url}: {why}"), next_step, Exit::Unreachable)
        }
    }
}

async fn answers(url: &str) -> Result<Said, String> {
    let uri: Uri = url.parse().map_err(|_| "it is no URL".to_owned())?;
    let authority = uri.authority().ok_or("it names no host")?.as_str().to_owned();
    if uri.scheme_str() == Some("http") {
        let with_port = if uri.port().is_some() { authority.clone() } else { format!("{authority}:80") };
        let mut found = tokio::net::lookup_host(&with_port).await.map_err(|error| error.to_string())?;
        return both(found.next().ok_or("it names no host")?, &authority).await;
    }
    // Over TLS, what it tells everybody shows that its certificate is one that clients trust.
    let description =
        KeysUrl::new(&format!("https://{authority}{DESCRIPTION}"), None).map_err(|error| chain(&error))?;
    let told = description.fetch().await.map_err(|error| chain(&error))?;
    let told: Value = serde_json::from_slice(&told).map_err(|_| "what answers is no bridge".to_owned())?;
    let resource = told.get("resource").and_then(Value::as_str).unwrap_or_default();
    if resource == url { Ok(Said::Token) } else { Err(format!("the bridge there is {resource}")) }
}

/// Where a listener on every address is reached from here.
fn reached(listen: SocketAddr) -> SocketAddr {
    let here = if listen.is_ipv4() { [127, 0, 0, 1].into() } else { std::net::Ipv6Addr::LOCALHOST.into() };
    if listen.ip().is_unspecified() { SocketAddr::new(here, listen.port()) } else { listen }
}

/// Says the first word of each era.
async fn both(to: SocketAddr, host: &str) -> Result<Said, String> {
    let mut said = Said::Lictor;
    for era in Era::BOTH {
        let one = timeout(ANSWER_WAIT, greet(to, host, era)).await;
        let one = one.map_err(|_| format!("it did not answer within {} s", ANSWER_WAIT.as_secs()));
        said = one.and_then(|one| one).map_err(|why| format!("{}: {why}", era.version()))?;
    }
    Ok(said)
}

async fn greet(to: SocketAddr, host: &str, era: Era) -> Result<Said, String> {
    let tcp = TcpStream::connect(to).await.map_err(|error| error.to_string())?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(tcp)).await.map_err(|error| error.to_string())?;
    let connection = tokio::spawn(connection);
    let mut request = Request::post(ENDPOINT)
        .header(header::HOST, host)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::ACCEPT, "application/json, text/event-stream")
        .header("mcp-protocol-version", era.version());
    if era == Era::Stateless {
        request = request.header("mcp-method", era.method());
    }
    let body = Full::new(Bytes::from(era.hello().to_string()));
    let request = request.body(body).map_err(|error| error.to_string())?;
    let answer = sender.send_request(request).await.map_err(|error| error.to_string())?;
    let status = answer.status();
    if status == StatusCode::UNAUTHORIZED && answer.headers().contains_key(header::WWW_AUTHENTICATE) {
        connection.abort();
        return Ok(Said::Token);
    }
    let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await;
    connection.abort();
    let body = body.map_err(|_| "its answer breaks off or is too long".to_owned())?.to_bytes();
    if status != StatusCode::OK {
        return Err(format!("it answers with status {status}"));
    }
    let text = String::from_utf8_lossy(&body);
    let event =
        text.lines().filter_map(|line| line.strip_prefix("data:")).rfind(|data| data.contains("jsonrpc"));
    let message =
        serde_json::from_str(event.unwrap_or(&text)).map_err(|_| "its answer is not MCP".to_owned())?;
    era.is_lictor(&message).map(|()| Said::Lictor)
}

/// How many certificates the chain has, if its key fits the first.
fn certificate(files: &TlsFiles) -> Result<usize, String> {
    let wrong =
        |path: &std::path::Path, error: &dyn std::error::Error| format!("{}: {error}", path.display());
    let certificates = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| wrong(&files.certificate, &error))?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| wrong(&files.key, &error))?;
    let count = certificates.len();
    if count == 0 {
        return Err(wrong(&files.certificate, &io::Error::other("it has no certificate")));
    }
    CertifiedKey::from_der(certificates, key, &default_provider())
        .map_err(|error| wrong(&files.key, &error))?;
    Ok(count)
}
