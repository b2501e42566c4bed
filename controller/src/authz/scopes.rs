//! Which scope of a user's token a method needs. A method without a row cannot be called for a user at all.

use lictor_oauth::scope::Scope;

/// The scope that the method at this path needs, for those that may be called for a user.
pub(crate) fn scope_needed(path: &str) -> Option<Scope> {
    Some(match path {
        "/lictor.v1.JobService/Get"
        | "/lictor.v1.JobService/List"
        | "/lictor.v1.JobService/Watch"
        | "/lictor.v1.JobService/ReadOutput"
        | "/lictor.v1.JobService/SearchRecords"
        | "/lictor.v1.PolicyService/Plan"
        | "/lictor.v1.FleetService/ListSites"
        | "/lictor.v1.FleetService/ListHosts" => Scope::Read,
        "/lictor.v1.JobService/PutContent"
        | "/lictor.v1.JobService/Submit"
        | "/lictor.v1.JobService/Run"
        | "/lictor.v1.JobService/Cancel"
        | "/lictor.v1.JobService/Pause"
        | "/lictor.v1.JobService/Resume"
        | "/lictor.v1.JobService/Abort" => Scope::Run,
        _ => return None,
    })
}

/// Whether a service that acts for users may call the method at this path by itself: to know that the controller lives, and to
/// stop what it brought when the user's token has expired.
pub(crate) fn needs_no_user(path: &str) -> bool {
    path.starts_with("/grpc.health.v1.Health/") || path == "/lictor.v1.JobService/Cancel"
}

#[cfg(test)]
mod tests {
    use lictor_core::principal::Role;
    use lictor_proto::DESCRIPTORS;
    use prost::Message as _;

    use super::*;
    use crate::authz::allowed_roles;

    #[test]
    fn what_a_service_may_call_has_a_scope_and_what_only_operators_may_has_none() {
        let set = prost_types::FileDescriptorSet::decode(DESCRIPTORS).unwrap();
        let mut seen = 0;
        for file in &set.file {
            for service in &file.service {
                for method in &service.method {
                    let path = format!("/{}.{}/{}", file.package(), service.name(), method.name());
                    let services = allowed_roles(&path).unwrap_or_default().contains(&Role::Service);
                    assert_eq!(scope_needed(&path).is_some(), services, "{path}");
                    seen += 1;
                }
            }
        }
        assert!(seen > 15);
        assert_eq!(scope_needed("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"), None);
    }
}
