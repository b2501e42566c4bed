//! Which policy is meant: a file, the one in force, or an earlier version.

use std::{convert::Infallible, fs, path::Path, path::PathBuf, str::FromStr};

use lictor_client::operator::PolicyView;
use lictor_core::error::{ErrorCode, Failure};
use lictor_policy::PolicySet;

use crate::{
    context::{Connected, Context},
    trouble::Trouble,
};

/// A policy as it is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Named {
    /// The one in force.
    Live,
    /// An earlier version, or the one in force.
    Version(u64),
    /// A file.
    File(PathBuf),
}

/// A policy that was read.
#[derive(Debug)]
pub(super) struct Source {
    /// What people call it.
    pub(super) name: String,
    pub(super) set: PolicySet,
}

/// Reads the policy that is named.
pub(super) async fn load(named: &Named, context: &Context) -> Result<Source, Trouble> {
    let version = match named {
        Named::File(path) => return Ok(Source { name: path.display().to_string(), set: file(path)? }),
        Named::Live => None,
        Named::Version(version) => Some(*version),
    };
    let view = kept(&context.connect()?, version).await?;
    Ok(Source { name: format!("version {}", view.version), set: of_controller(&view)? })
}

/// The policy in force, or an earlier version.
pub(super) async fn kept(connected: &Connected, version: Option<u64>) -> Result<PolicyView, Failure> {
    let told = connected.operator.policy(version).await;
    told.map_err(|failure| match failure.code {
        ErrorCode::NotFound => {
            Failure { next_step: "see which there are: lictor policy history".into(), ..failure }
        }
        _ => failure,
    })
}

/// Reads a policy file.
pub(super) fn file(path: &Path) -> Result<PolicySet, Trouble> {
    let text = fs::read_to_string(path).map_err(|e| Trouble::file("read", path, &e))?;
    PolicySet::parse(&text).map_err(|errors| {
        let message = format!("{} is not a policy:\n{errors}", path.display());
        let problems = errors.iter().count().to_string();
        Failure::new(ErrorCode::InvalidArgument, message, "correct it; what is in force stays as it is")
            .with("problems", problems)
            .into()
    })
}

/// Reads a policy as the controller keeps it.
pub(super) fn of_controller(view: &PolicyView) -> Result<PolicySet, Trouble> {
    PolicySet::parse(&view.source).map_err(|errors| {
        Trouble::usage(
            format!("version {} of the controller is not a policy for this program:\n{errors}", view.version),
            "use a lictor of the controller's version",
        )
    })
}

// === impl Named ===

impl FromStr for Named {
    type Err = Infallible;

    /// `live`, a number, or else a file; `./7` is a file.
    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match (text, text.parse()) {
            ("live", _) => Self::Live,
            (_, Ok(version)) => Self::Version(version),
            _ => Self::File(PathBuf::from(text)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_a_number_and_a_path_are_told_apart() {
        for (text, named) in [
            ("live", Named::Live),
            ("7", Named::Version(7)),
            ("./7", Named::File("./7".into())),
            ("policy.yml", Named::File("policy.yml".into())),
            ("./live", Named::File("./live".into())),
        ] {
            assert_eq!(text.parse(), Ok(named));
        }
    }
}
