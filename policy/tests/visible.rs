//! Who is told of which hosts.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use lictor_core::{
    label::Labels,
    principal::{Principal, PrincipalKind},
};
use lictor_policy::{HostFacts, PolicySet, diff, diff::ChangeKind};

fn policy(visible: &str) -> PolicySet {
    let text = format!("version: 1\ngroups: {{ bots: {{ services: [ci] }} }}\n{visible}rules: []\n");
    PolicySet::parse(&text).unwrap_or_else(|e| panic!("{e}"))
}

fn refused(visible: &str) -> String {
    let text = format!("version: 1\n{visible}rules: []\n");
    PolicySet::parse(&text).unwrap_err().to_string()
}

fn host(alias: &str, tag: &str) -> HostFacts {
    HostFacts {
        alias: alias.parse().unwrap(),
        site: "eu".parse().unwrap(),
        tags: vec![tag.parse().unwrap()],
        labels: Labels::default(),
    }
}

fn sees(set: &PolicySet, kind: PrincipalKind, name: &str) -> Vec<&'static str> {
    let principal = Principal { tenant: "acme".parse().unwrap(), kind, name: name.parse().unwrap() };
    let view = set.view(&principal);
    let all = [("web-1", "web"), ("db-1", "db"), ("x", "other")];
    all.iter().filter(|(alias, tag)| view.shows(&host(alias, tag))).map(|(alias, _)| *alias).collect()
}

#[test]
fn without_the_section_everybody_is_told_of_every_host_and_with_it_of_what_entries_for_them_name() {
    use PrincipalKind::{Service, User};
    let open = policy("");
    assert_eq!(sees(&open, Service, "anything").len(), 3);
    let some = policy(
        "visible:\n  - { where: { tags: [web] } }\n  - { who: { groups: [bots] }, where: { hosts: ['db-*'] } }\n  \
         - { who: { users: [eve] }, where: all }\n",
    );
    assert_eq!(sees(&some, Service, "ci"), ["web-1", "db-1"]);
    assert_eq!(sees(&some, User, "ci"), ["web-1"], "a user of the same name is somebody else");
    assert_eq!(sees(&some, User, "eve"), ["web-1", "db-1", "x"]);
    let none = policy("visible: [{ who: { kinds: [user] }, where: all }]\n");
    assert!(sees(&none, Service, "ci").is_empty(), "who is named nowhere is told of nothing");
}

#[test]
fn a_section_that_could_be_read_in_two_ways_is_refused() {
    for (text, said) in [
        ("visible: []\n", "`visible` is empty"),
        ("visible: [{ who: {}, where: all }]\n", "`who` is empty"),
        ("visible: [{ where: {} }]\n", "`where` is empty"),
        ("visible: [{ who: { via: [mcp] }, where: all }]\n", "via"),
        ("visible: [{ who: { groups: [nobody] }, where: all }]\n", "no group `nobody`"),
        ("visible: [{ who: { users: [eve] } }]\n", "where"),
    ] {
        let why = refused(text);
        assert!(why.contains(said), "{text}: {why}");
    }
    assert_eq!(policy("visible: [{ where: all }]\n").not_for_floors(), Some("visible"));
    assert_eq!(policy("").not_for_floors(), None);
}

#[test]
fn a_diff_says_who_is_told_of_more_and_of_less() {
    let (open, web) = (policy(""), policy("visible: [{ where: { tags: [web] } }]\n"));
    let more =
        policy("visible: [{ where: { tags: [web] } }, { who: { groups: [bots] }, where: { tags: [db] } }]\n");
    for (old, new, kind) in [
        (&open, &web, ChangeKind::Narrowed),
        (&web, &open, ChangeKind::Widened),
        (&web, &more, ChangeKind::Widened),
        (&more, &web, ChangeKind::Narrowed),
    ] {
        let changes = diff::diff(old, new);
        assert_eq!(changes.iter().map(|change| change.kind).collect::<Vec<_>>(), [kind], "{changes:?}");
        assert_eq!(changes[0].place.to_string(), "visible");
    }
    assert!(diff::diff(&web, &web).is_empty());
    let text = "version: 1\ngroups: { bots: { services: [ci, other] } }\nvisible: [{ who: { groups: [bots] }, where: all }]\nrules: []\n";
    let (few, many) =
        (policy("visible: [{ who: { groups: [bots] }, where: all }]\n"), PolicySet::parse(text).unwrap());
    assert_eq!(diff::diff(&few, &many)[0].kind, ChangeKind::Widened, "a group that grows sees more");
}
