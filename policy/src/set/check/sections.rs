//! Checking what stands beside the rules: windows, freezes, overrides, quotas, and what a rule says of time and consent.

use std::collections::{BTreeMap, BTreeSet};

use lictor_core::name::{RuleId, WindowName};
use serde_saphyr::Spanned;

use super::{Problems, Scope, line_of};
use crate::{
    decision::{ApprovalTerms, Effect},
    file::{ApproveFile, FreezeFile, OverrideFile, QuotaFile, WhenFile, WindowFile},
    quota::{Quota, QuotaBound},
    rule::When,
    set::{
        MAX_SECTION,
        contents::{Freeze, Override},
        units,
    },
    time::{Once, Weekly, WeeklyText, Window},
};

/// Most people whose consent one rule may ask for: more would never come together.
const MAX_APPROVALS: u32 = 10;

impl Problems {
    pub(super) fn windows(&mut self, files: &BTreeMap<String, WindowFile>) -> Vec<(WindowName, Window)> {
        self.section("windows", files.len());
        let parse = |(name, file): (&String, &WindowFile)| {
            let window = window(file).map_err(|why| format!("window `{name}`: {why}"));
            Some((self.keep(WindowName::new(name))?, self.keep(window)?))
        };
        files.iter().filter_map(parse).collect()
    }

    pub(super) fn freezes(&mut self, files: &[Spanned<FreezeFile>]) -> Vec<Freeze> {
        self.section("freezes", files.len());
        let mut ids = BTreeSet::new();
        let parse = |spanned: &Spanned<FreezeFile>| {
            let file = &spanned.value;
            self.at(line_of(spanned), |p| {
                p.unique("freeze", &file.id, &mut ids);
                let hosts = p.hosts(&file.hosts);
                let span = Once::parse(&file.zone, &file.start, &file.end)
                    .map_err(|why| format!("freeze `{}`: {why}", file.id));
                Some(Freeze {
                    id: p.keep(RuleId::new(&file.id))?,
                    reason: file.reason.clone(),
                    hosts,
                    span: p.keep(span)?,
                })
            })
        };
        files.iter().filter_map(parse).collect()
    }

    pub(super) fn overrides(&mut self, files: &[Spanned<OverrideFile>]) -> Vec<Override> {
        self.section("overrides", files.len());
        let parse = |spanned: &Spanned<OverrideFile>| {
            let file = &spanned.value;
            self.at(line_of(spanned), |p| Override {
                hosts: p.hosts(&file.hosts),
                limits: p.limits(Some(&file.limits), units::size),
            })
        };
        files.iter().map(parse).collect()
    }

    pub(super) fn quotas(&mut self, files: &[Spanned<QuotaFile>], scope: Scope<'_>) -> Vec<Quota> {
        self.section("quotas", files.len());
        let mut ids = BTreeSet::new();
        let parse = |spanned: &Spanned<QuotaFile>| {
            let file = &spanned.value;
            self.at(line_of(spanned), |p| {
                p.unique("quota", &file.id, &mut ids);
                let who = p.who(file.who.as_ref(), scope);
                let bound = bound(file).map_err(|why| format!("quota `{}`: {why}", file.id));
                Some(Quota { id: p.keep(RuleId::new(&file.id))?, who, bound: p.keep(bound)? })
            })
        };
        files.iter().filter_map(parse).collect()
    }

    pub(super) fn when(&mut self, file: Option<&WhenFile>, scope: Scope<'_>) -> When {
        let Some(file) = file else { return When::default() };
        if file.during.is_none() && file.not_during.is_none() {
            self.add("`when` is empty; leave it out for always");
        }
        let during = file.during.as_deref().map(|names| self.window_indices("during", names, scope));
        let not_during =
            file.not_during.as_deref().map(|names| self.window_indices("not_during", names, scope));
        When { during, not_during: not_during.unwrap_or_default() }
    }

    fn window_indices(&mut self, key: &str, names: &[String], scope: Scope<'_>) -> Vec<usize> {
        self.bounded(key, names.len());
        let index = |name: &String| {
            let found = scope.windows.iter().position(|(window, _)| window.as_str() == name);
            self.keep(found.ok_or_else(|| format!("there is no window `{name}`; define it under `windows`")))
        };
        names.iter().filter_map(index).collect()
    }

    pub(super) fn max_hosts(&mut self, most: Option<u32>) -> Option<u32> {
        if most == Some(0) {
            self.add("`max_hosts` is 0; a rule that allows nothing is better left out");
        }
        most
    }

    /// With effect approve, whose consent is needed; a rule with another effect has no such key.
    pub(super) fn approval(
        &mut self,
        file: Option<&ApproveFile>,
        effect: Effect,
        scope: Scope<'_>,
    ) -> Option<ApprovalTerms> {
        match (file, effect) {
            (None, Effect::Approve) => {
                self.add("effect `approve` needs `approve: {approvals: 1, group: NAME, within: 1h}`");
                None
            }
            (Some(_), Effect::Allow | Effect::Deny) => {
                self.add("`approve` has a meaning only with `effect: approve`");
                None
            }
            (None, _) => None,
            (Some(file), Effect::Approve) => {
                if !(1..=MAX_APPROVALS).contains(&file.approvals) {
                    self.add(format!("`approvals` is not between 1 and {MAX_APPROVALS}"));
                }
                let group = self.keep(lictor_core::name::GroupName::new(&file.group))?;
                self.group_exists(&group, scope);
                let within = self.keep(units::duration(&file.within))?;
                Some(ApprovalTerms { approvals: file.approvals, group, within, mfa: file.mfa })
            }
        }
    }

    fn section(&mut self, key: &str, entries: usize) {
        if entries > MAX_SECTION {
            self.add(format!("`{key}` has more than {MAX_SECTION} entries"));
        }
    }

    fn unique(&mut self, what: &str, id: &str, seen: &mut BTreeSet<String>) {
        if !seen.insert(id.to_owned()) {
            self.add(format!("there are two entries with the id `{id}`; each {what} has its own"));
        }
    }
}

fn window(file: &WindowFile) -> Result<Window, String> {
    let weekly = file.days.is_some() || file.from.is_some() || file.to.is_some();
    match (&file.start, &file.end) {
        (Some(_), _) | (_, Some(_)) if weekly => {
            Err("it has `start` or `end` as well as days or hours; make two windows".into())
        }
        (Some(start), Some(end)) => Once::parse(&file.zone, start, end).map(Window::Once),
        (Some(_), None) | (None, Some(_)) => Err("it needs both `start` and `end`".into()),
        (None, None) => {
            let hours = match (&file.from, &file.to) {
                (Some(from), Some(to)) => Some((from.as_str(), to.as_str())),
                (None, None) => None,
                _ => return Err("it needs both `from` and `to`, or neither".into()),
            };
            let days: Option<Vec<usize>> =
                file.days.as_ref().map(|days| days.iter().map(|day| *day as usize).collect());
            let text = WeeklyText { zone: &file.zone, days: days.as_deref(), hours };
            Weekly::parse(text).map(Window::Weekly)
        }
    }
}

fn bound(file: &QuotaFile) -> Result<QuotaBound, String> {
    match (file.invocations, file.per.as_deref(), file.running) {
        (Some(0), _, _) | (_, _, Some(0)) => Err("0 allows nothing; write a deny rule instead".into()),
        (Some(invocations), Some(per), None) => {
            Ok(QuotaBound::Rate { invocations, per: units::duration(per)? })
        }
        (None, None, Some(running)) => Ok(QuotaBound::Running(running)),
        _ => Err("it needs `invocations` with `per`, or `running`, and not both".into()),
    }
}
