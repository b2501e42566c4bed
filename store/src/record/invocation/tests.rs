//! The bytes of a stored invocation are what they always were.

use lictor_core::{
    id::{InvocationId, JobId},
    name::{AgentName, HostAlias, RuleId, SiteName},
};

use super::*;
use crate::record::{decode, encode};

fn invocation(state: InvocationState) -> Invocation {
    let job = JobId::from_bytes([1; 16]);
    Invocation {
        id: InvocationId::derive(job, "web-1", 1),
        job,
        host: HostAlias::new("web-1").unwrap(),
        site: SiteName::new("eu").unwrap(),
        attempt: 1,
        wave: 2,
        state,
        version: 3,
        limits: Limits { timeout: Duration::from_secs(5), output_bytes: 1024 },
        rule: Some(RuleId::new("r").unwrap()),
        started_at: Some(Timestamp::from_micros(7)),
        ended_at: None,
        address: Some("[::1]:22 \"x\"".into()),
        output: Output {
            stdout: StreamSummary {
                bytes_total: 2,
                digest: Some(Digest::of(b"hi")),
                head: b"hi".into(),
                tail: Vec::new(),
            },
            ..Output::default()
        },
        output_removed: None,
        resolution: Some(Outcome::Unreachable { reason: Unreachable::RunAs, detail: "no \n".into() }),
        guard: Guard::Host,
        redactions: 4,
        last_agent: Some(AgentName::new("a").unwrap()),
    }
}

#[test]
fn what_is_written_is_what_was_always_written() {
    let invocation = invocation(InvocationState::Offered { agent: AgentName::new("a").unwrap(), epoch: 9 });
    let (id, job, digest) = (invocation.id, invocation.job, Digest::of(b"hi"));
    let bytes = encode(&InvocationRecord::new(&invocation, OutputPlace::Record)).unwrap();
    let expected = [
        format!(r#"{{"v":"1","id":"{id}","job":"{job}","host":"web-1","site":"eu","attempt":1,"#),
        r#""state":{"offered":{"agent":"a","epoch":9}},"version":3,"timeout_ms":5000,"#.into(),
        r#""output_bytes":1024,"rule":"r","started_at":7,"ended_at":null,"#.into(),
        r#""address":"[::1]:22 \"x\"","#.into(),
        format!(r#""stdout":{{"total":2,"digest":"{digest}","head_bytes":2,"tail_bytes":0,"#),
        r#""head":"aGk","tail":""},"stderr":{"total":0,"digest":null,"head_bytes":0,"#.into(),
        r#""tail_bytes":0,"head":"","tail":""},"#.into(),
        r#""resolution":{"unreachable":{"reason":"run_as","detail":"no \n"}},"wave":2,"#.into(),
        r#""guard":"host","redactions":4,"last_agent":"a"}"#.into(),
    ];
    assert_eq!(String::from_utf8(bytes).unwrap(), expected.concat());
}

#[test]
fn a_record_that_is_read_is_written_again_as_it_was() {
    let agent = AgentName::new("a").unwrap();
    let ends = [
        Outcome::Denied { code: "C".into(), reason: "because".into() },
        Outcome::Succeeded,
        Outcome::Failed(Exit::Code(3)),
        Outcome::Failed(Exit::Signal("KILL".into())),
        Outcome::Unknown(Unknown::AgentLost),
    ];
    let open = [
        InvocationState::Queued,
        InvocationState::Accepted { agent: agent.clone() },
        InvocationState::Running { agent },
    ];
    for state in open.into_iter().chain(ends.map(InvocationState::Ended)) {
        let invocation = invocation(state);
        let bytes = encode(&InvocationRecord::new(&invocation, OutputPlace::Record)).unwrap();
        let read: InvocationRecord<'static> = decode(&bytes).unwrap();
        assert_eq!(encode(&read).unwrap(), bytes);
        assert_eq!(read.to_invocation().unwrap(), invocation);
    }
}
