//! The skills extension (SEP-2640): how to use these tools well, for clients that load skills. One skill of one file, the same
//! for everybody.

use std::sync::LazyLock;

use rmcp::{
    ErrorData,
    model::{
        GetSkillResult, ListSkillsResult, ReadResourceResult, Resource, ResourceContents, Skill,
        SkillFrontmatter, SkillResource, SkillResources,
    },
};
use serde_json::json;

/// The skill's name, and the last segment of where it is.
const NAME: &str = "operate-hosts";
/// Where its file is.
const URI: &str = "skill://operate-hosts/SKILL.md";
/// The form of its file.
const MARKDOWN: &str = "text/markdown";
/// What it says.
const TEXT: &str = include_str!("skills/operate-hosts/SKILL.md");
/// What stands before its description, in the lines at its head.
const DESCRIPTION: &str = "description: ";

static SKILL: LazyLock<Skill> = LazyLock::new(|| {
    let description = TEXT.lines().find_map(|line| line.strip_prefix(DESCRIPTION)).unwrap_or_default();
    let files = vec![SkillResource::from_bytes(URI, TEXT.as_bytes())];
    Skill::new(URI, SkillFrontmatter::new(NAME, description), SkillResources::Files(files))
});

/// The skills.
pub(crate) fn list() -> ListSkillsResult {
    ListSkillsResult::with_all_items(vec![SKILL.clone()])
}

/// The skill whose file is at `uri`.
///
/// # Errors
/// A protocol error when there is none.
pub(crate) fn get(uri: &str) -> Result<GetSkillResult, ErrorData> {
    if uri == URI { Ok(GetSkillResult::new(SKILL.clone())) } else { Err(unknown(uri)) }
}

/// Its file, as it is listed.
pub(crate) fn resource() -> Resource {
    Resource::new(URI, NAME)
        .with_description(&*SKILL.frontmatter.description)
        .with_mime_type(MARKDOWN)
        .with_size(TEXT.len() as u64)
}

/// What its file says; `None` where `uri` is another one.
pub(crate) fn read(uri: &str) -> Option<ReadResourceResult> {
    let contents = || ResourceContents::text(TEXT, URI).with_mime_type(MARKDOWN);
    (uri == URI).then(|| ReadResourceResult::new(vec![contents()]))
}

fn unknown(uri: &str) -> ErrorData {
    let data = json!({ "uri": crate::resources::shown(uri) });
    ErrorData::invalid_params("there is no such skill", Some(data))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools;

    #[test]
    fn the_skill_is_one_by_the_rules_of_the_extension_and_its_digest_is_of_what_is_served() {
        SKILL.validate().unwrap();
        assert!(TEXT.starts_with(&format!("---\nname: {NAME}\n{DESCRIPTION}")));
        let served = serde_json::to_value(read(URI).unwrap()).unwrap();
        let SkillResources::Files(files) = &SKILL.resources else { panic!("it has one file") };
        files[0].verify(served["contents"][0]["text"].as_str().unwrap().as_bytes()).unwrap();
        assert!(get("skill://operate-hosts").is_err());
        assert!(read("skill://operate-hosts/../SKILL.md").is_none());
    }

    #[test]
    fn every_tool_that_the_skill_names_is_there() {
        let words = TEXT.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let named: Vec<&str> = words.filter(|word| word.starts_with("ssh_") && *word != "ssh_").collect();
        assert!(named.len() >= 4, "{named:?}");
        for name in named {
            assert!(tools::find(name).is_some(), "{name}");
        }
    }
}
