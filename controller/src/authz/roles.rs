//! Which roles may call which method. A method without a row is refused to everybody.

use lictor_core::principal::Role;

const CALLERS: &[Role] = &[Role::Service, Role::Operator];
const OPERATORS: &[Role] = &[Role::Operator];
const AGENTS: &[Role] = &[Role::Agent];
const EVERYBODY: &[Role] = &[Role::Controller, Role::Agent, Role::Service, Role::Operator];

/// The roles that may call the method at this path; `None` for a path without a row.
pub fn allowed_roles(path: &str) -> Option<&'static [Role]> {
    Some(match path {
        "/lictor.v1.JobService/Submit"
        | "/lictor.v1.JobService/Run"
        | "/lictor.v1.JobService/Get"
        | "/lictor.v1.JobService/List"
        | "/lictor.v1.JobService/Watch"
        | "/lictor.v1.JobService/Cancel"
        | "/lictor.v1.JobService/Pause"
        | "/lictor.v1.JobService/Resume"
        | "/lictor.v1.JobService/Abort"
        | "/lictor.v1.JobService/ReadOutput"
        | "/lictor.v1.JobService/PutContent"
        | "/lictor.v1.JobService/SearchRecords"
        | "/lictor.v1.PolicyService/Plan"
        | "/lictor.v1.FleetService/ListSites"
        | "/lictor.v1.FleetService/ListHosts" => CALLERS,
        "/lictor.v1.PolicyService/Get"
        | "/lictor.v1.PolicyService/Put"
        | "/lictor.v1.PolicyService/History"
        | "/lictor.v1.PolicyService/PutShadow"
        | "/lictor.v1.PolicyService/ClearShadow"
        | "/lictor.v1.PolicyService/GetShadow"
        | "/lictor.v1.ApprovalService/List"
        | "/lictor.v1.ApprovalService/Get"
        | "/lictor.v1.ApprovalService/Decide"
        | "/lictor.v1.ErasureService/Request"
        | "/lictor.v1.ErasureService/Consent"
        | "/lictor.v1.ErasureService/Reject"
        | "/lictor.v1.ErasureService/List"
        | "/lictor.v1.ErasureService/SetHold"
        | "/lictor.v1.ErasureService/LiftHold"
        | "/lictor.v1.ErasureService/ListHolds"
        | "/lictor.v1.ErasureService/GetRetention"
        | "/lictor.v1.ErasureService/ShortenRetention"
        | "/lictor.v1.FreezeService/Freeze"
        | "/lictor.v1.FreezeService/Lift"
        | "/lictor.v1.FreezeService/List"
        | "/lictor.v1.FleetService/ListAgents"
        | "/lictor.v1.FleetService/CreateJoinToken"
        | "/lictor.v1.FleetService/RevokeAgent"
        | "/lictor.v1.AuditService/Read"
        | "/lictor.v1.AuditService/Export"
        | "/lictor.v1.AuditService/Search"
        | "/lictor.v1.AuditService/Checkpoint" => OPERATORS,
        "/lictor.v1.AgentLink/Session"
        | "/lictor.v1.AgentLink/SendOutput"
        | "/lictor.v1.AgentLink/SendLive"
        | "/lictor.v1.AgentLink/Renew"
        | "/lictor.v1.AgentLink/FetchContent" => AGENTS,
        "/grpc.health.v1.Health/Check" | "/grpc.health.v1.Health/Watch" | "/grpc.health.v1.Health/List" => {
            EVERYBODY
        }
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo" => CALLERS,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use lictor_proto::DESCRIPTORS;
    use prost::Message as _;

    use super::*;

    /// Methods that are not served with client certificates, and so have no row.
    const WITHOUT_CERTIFICATES: [&str; 1] = ["/lictor.v1.EnrollService/Enroll"];

    fn methods() -> Vec<String> {
        let set = prost_types::FileDescriptorSet::decode(DESCRIPTORS).unwrap();
        let mut methods = Vec::new();
        for file in set.file {
            for service in &file.service {
                for method in &service.method {
                    methods.push(format!("/{}.{}/{}", file.package(), service.name(), method.name()));
                }
            }
        }
        methods
    }

    #[test]
    fn every_method_has_a_row_and_nothing_else_does() {
        let methods = methods();
        assert!(methods.len() > 15);
        for method in &methods {
            assert_eq!(
                allowed_roles(method).is_some(),
                !WITHOUT_CERTIFICATES.contains(&method.as_str()),
                "{method}"
            );
        }
        assert_eq!(allowed_roles("/lictor.v1.JobService/Nothing"), None);
    }

    #[test]
    fn agents_call_the_link_and_nothing_else_and_nobody_else_calls_it() {
        for method in methods() {
            let roles = allowed_roles(&method).unwrap_or_default();
            assert_eq!(roles.contains(&Role::Agent), method.contains(".AgentLink/"), "{method}");
            assert!(!roles.contains(&Role::Agent) || roles == AGENTS, "{method}");
        }
    }

    #[test]
    fn a_service_cannot_approve_change_or_read_policy_freeze_join_or_revoke_agents_or_read_the_audit() {
        let theirs = |method: &&String| {
            method.contains("ApprovalService")
                || method.contains("Audit")
                || method.contains("ErasureService")
                || method.contains("FreezeService")
                || method.contains("JoinToken")
                || method.contains("RevokeAgent")
                || (method.contains("PolicyService") && !method.ends_with("/Plan"))
        };
        let methods = methods();
        let methods: Vec<_> = methods.iter().filter(theirs).collect();
        assert!(methods.len() >= 16, "{methods:?}");
        for method in methods {
            assert_eq!(allowed_roles(method), Some(OPERATORS), "{method}");
        }
    }
}
