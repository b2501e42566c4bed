//! What needed the consent of others: the log itself must show that enough of them gave it before anything was meant to start.

use std::collections::{BTreeSet, HashMap};

use serde::Deserialize;

use super::lines::number;

/// Every approval of a log, by its job.
#[derive(Debug, Clone, Default)]
pub(super) struct Consents(HashMap<String, Asked>);

/// What one job asked for, and what came of it.
#[derive(Debug, Clone)]
struct Asked {
    requester: String,
    /// `None` where the payload that says so is not there.
    plan: Option<String>,
    /// Group and number.
    terms: Vec<(String, u64)>,
    /// Who has consented, and in which of the groups they were.
    given: Vec<(String, Vec<String>)>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Pending,
    Used,
    Over,
}

/// What matters here of a record about an approval.
#[derive(Debug, Deserialize)]
struct Record {
    job: String,
    plan_digest: Option<String>,
    requester: Option<String>,
    #[serde(default)]
    terms: Vec<String>,
    by: Option<String>,
    #[serde(default)]
    groups: Vec<String>,
    #[serde(default)]
    consents: Vec<String>,
}

// === impl Consents ===

impl Consents {
    /// Takes the next record about an approval; `is_readable`: its payload is there. Without it, nobody can tell about which
    /// plan it is.
    ///
    /// # Errors
    /// What does not hold, in words.
    pub(super) fn take(&mut self, kind: &str, content: &[u8], is_readable: bool) -> Result<(), String> {
        let record: Record = serde_json::from_slice(content).map_err(|e| e.to_string())?;
        if is_readable && record.plan_digest.is_none() {
            return Err("it does not say about which plan it is".into());
        }
        if kind == "approval_requested" {
            return self.requested(record);
        }
        let Some(asked) = self.0.get_mut(&record.job) else {
            return Err(format!("nobody was asked to consent to {}", record.job));
        };
        if asked.state != State::Pending {
            return Err(format!("the approval of {} was decided before", record.job));
        }
        let is_another = |(asked, said): (&String, &String)| asked != said;
        if asked.plan.as_ref().zip(record.plan_digest.as_ref()).is_some_and(is_another) {
            return Err(format!("it is about another plan than {} asked for", record.job));
        }
        match kind {
            "approval_given" => asked.given(record),
            "approval_used" => asked.used(&record),
            _ => {
                asked.state = State::Over;
                Ok(())
            }
        }
    }

    /// Something of `job` is meant to start.
    ///
    /// # Errors
    /// That consent was needed and was not used for it.
    pub(super) fn intended(&self, job: &str) -> Result<(), String> {
        match self.0.get(job).map(|asked| asked.state) {
            None | Some(State::Used) => Ok(()),
            Some(State::Pending | State::Over) => {
                Err(format!("{job} was meant to start without the consent that it needed"))
            }
        }
    }

    fn requested(&mut self, record: Record) -> Result<(), String> {
        let term = |text: &String| {
            let (many, group) = text.split_once(" of ")?;
            Some((group.to_owned(), number(many).filter(|many| *many > 0)?))
        };
        let terms: Option<Vec<_>> = record.terms.iter().map(term).collect();
        let (Some(terms), Some(requester)) = (terms.filter(|terms| !terms.is_empty()), record.requester)
        else {
            return Err("it does not say who asks, or whose consent is needed".into());
        };
        let plan = record.plan_digest;
        let asked = Asked { requester, plan, terms, given: Vec::new(), state: State::Pending };
        match self.0.insert(record.job, asked) {
            None => Ok(()),
            Some(_) => Err("consent to it was asked for before".into()),
        }
    }
}

// === impl Asked ===

impl Asked {
    fn given(&mut self, record: Record) -> Result<(), String> {
        let by = record.by.ok_or("it does not say who consents")?;
        if name(&by) == name(&self.requester) {
            return Err(format!("{by} consented to their own request"));
        }
        if self.given.iter().any(|(other, _)| name(other) == name(&by)) {
            return Err(format!("{by} consented twice"));
        }
        self.given.push((by, record.groups));
        Ok(())
    }

    /// Each of those who count has consented, in the group for which they count; nobody counts twice, and they are enough.
    fn used(&mut self, record: &Record) -> Result<(), String> {
        let mut counted: HashMap<&str, u64> = HashMap::new();
        let mut people = BTreeSet::new();
        for text in &record.consents {
            let (by, group) = text.split_once(" for ").ok_or("it does not say who counts for which group")?;
            if !people.insert(name(by)) {
                return Err(format!("{by} counts twice"));
            }
            let gave = |(who, groups): &(String, Vec<String>)| who == by && groups.iter().any(|g| g == group);
            if !self.given.iter().any(gave) {
                return Err(format!("{by} counts for {group} and has not consented as one of it"));
            }
            *counted.entry(group).or_default() += 1;
        }
        for (group, number) in &self.terms {
            let have = counted.get(group.as_str()).copied().unwrap_or_default();
            if have < *number {
                return Err(format!("{number} of {group} had to consent, and {have} did"));
            }
        }
        self.state = State::Used;
        Ok(())
    }
}

/// The name of a principal, whatever kind it is of and however it is written.
pub(super) fn name(principal: &str) -> String {
    principal.split_once(':').map_or(principal, |(_, name)| name).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn requested() -> Value {
        json!({"kind": "approval_requested", "job": "j", "plan_digest": "p", "requester": "service:bot",
            "terms": ["2 of dba", "1 of leads"]})
    }
    fn given(by: &str, groups: &[&str]) -> Value {
        json!({"kind": "approval_given", "job": "j", "plan_digest": "p", "by": by, "groups": groups})
    }
    fn used(consents: &[&str]) -> Value {
        json!({"kind": "approval_used", "job": "j", "plan_digest": "p", "consents": consents})
    }

    /// All of it, then an intent of the job.
    fn check(records: &[Value]) -> Result<(), String> {
        let mut consents = Consents::default();
        for record in records {
            consents.take(record["kind"].as_str().unwrap(), record.to_string().as_bytes(), true)?;
        }
        consents.intended("j")
    }

    #[test]
    fn an_intent_holds_only_behind_the_consent_of_enough_others() {
        let given =
            [given("user:a", &["dba"]), given("user:b", &["dba", "leads"]), given("user:c", &["leads"])];
        let all = |used: Value| [&[requested()], &given[..], &[used]].concat();
        let enough = used(&["user:a for dba", "user:b for dba", "user:c for leads"]);
        assert_eq!(check(&all(enough.clone())), Ok(()));
        assert_eq!(check(&[]), Ok(()), "what needed no consent");
        for wrong in [
            vec![requested()],
            [&[requested()], &given[..]].concat(),
            vec![requested(), given[0].clone(), enough.clone()],
            all(used(&["user:a for dba", "user:c for leads"])),
            all(used(&["user:a for dba", "user:b for dba", "user:b for leads"])),
            all(used(&["user:a for dba", "user:c for dba", "user:b for leads"])),
            vec![enough.clone()],
            [all(enough.clone()), vec![enough.clone()]].concat(),
            [all(enough.clone()), vec![requested()]].concat(),
            vec![
                requested(),
                json!({"kind": "approval_denied", "job": "j", "plan_digest": "p", "by": "user:a"}),
            ],
        ] {
            assert!(check(&wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn consent_to_ones_own_request_twice_or_to_another_plan_is_found() {
        let own = check(&[requested(), given("user:bot", &["dba"])]).unwrap_err();
        assert!(own.contains("their own request"), "{own}");
        let twice = check(&[requested(), given("user:a", &["dba"]), given("user:a", &["leads"])]);
        assert!(twice.unwrap_err().contains("twice"));
        let mut other = given("user:a", &["dba"]);
        other["plan_digest"] = "q".into();
        assert!(check(&[requested(), other]).unwrap_err().contains("another plan"));
    }
}
