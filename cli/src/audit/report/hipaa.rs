//! HIPAA: the standards of the Security Rule that the log has evidence for.

use super::{
    Control,
    Evidence::{Log, Records},
    Table,
};

/// The table.
pub(super) static TABLE: Table = Table {
    name: "HIPAA Security Rule",
    edition: "45 CFR part 164 subpart C, as amended 2013",
    controls: &[
        Control {
            id: "164.308(a)(1)(ii)(D)",
            title: "Activity of systems is reviewed",
            lictor: "Each reading of the log is a record.",
            evidence: &[Records { what: "Readings of the log", query: "kind:audit_read" }],
            outside: "That reviews are regular, and what followed from them.",
        },
        Control {
            id: "164.308(a)(3)(ii)(A)",
            title: "Work is authorised or supervised",
            lictor: "Commands are judged before they run, and can need the consent of others than whoever asks.",
            evidence: &[
                Records { what: "Commands that were let pass", query: "kind:job_submitted" },
                Records { what: "Consent that others gave", query: "kind:approval_given" },
                Records {
                    what: "Consent refused, expired or void",
                    query: "kind:approval_denied|approval_expired|approval_voided",
                },
            ],
            outside: "Clearance of people, and ending their access when they leave.",
        },
        Control {
            id: "164.308(a)(4)(ii)(B), (C)",
            title: "Access is authorised, established and modified",
            lictor: "A versioned policy says who may run what where, and who changed it.",
            evidence: &[
                Records {
                    what: "Changes of the policy, with digest and author",
                    query: "kind:policy_changed",
                },
                Records {
                    what: "Tokens issued and agents joined",
                    query: "kind:join_token_issued|agent_enrolled",
                },
            ],
            outside: "Whether the policy follows your own rules of access.",
        },
        Control {
            id: "164.308(a)(5)(ii)(C)",
            title: "Attempts to log in are watched",
            lictor: "Logins, calls that an identity may not make, and requests and enrolments that were refused, are recorded.",
            evidence: &[
                Records { what: "Logins of people and services", query: "kind:logged_in" },
                Records { what: "Agents that could not join", query: "kind:enrolment_refused" },
                Records { what: "Calls that were refused", query: "kind:call_refused" },
                Records { what: "Requests that were refused", query: "kind:request_denied" },
            ],
            outside: "Attempts without a valid certificate, which end in TLS; logging in to workstations and hosts.",
        },
        Control {
            id: "164.308(a)(6)(ii)",
            title: "Incidents are answered and documented",
            lictor: "Operators can freeze hosts, sites or everything, and stop jobs; both are recorded with who and why.",
            evidence: &[
                Records {
                    what: "Freezes that were set and lifted, with the reason",
                    query: "kind:freeze_set|freeze_lifted",
                },
                Records { what: "Jobs that were stopped", query: "kind:cancel_requested|job_halted" },
            ],
            outside: "Harm, mitigation and notification.",
        },
        Control {
            id: "164.312(a)(1)",
            title: "Only those with rights have access",
            lictor: "Nothing is sent to a host without a rule that allows it, and the host's site judges it again.",
            evidence: &[
                Records {
                    what: "Intents, one for each host, with the rule",
                    query: "kind:invocation_intended",
                },
                Records { what: "Requests that were refused", query: "kind:request_denied" },
                Records { what: "Refusals by sites, signed by their agents", query: "kind:grant_refused" },
            ],
            outside: "Access by other ways than Lictor, and to the data itself.",
        },
        Control {
            id: "164.312(a)(2)(i)",
            title: "Each user has a name of their own",
            lictor: "Every request names a person or a service by certificate or token.",
            evidence: &[
                Records { what: "Requests of people", query: "kind:job_submitted|request_denied who:user:*" },
                Records {
                    what: "Requests of services",
                    query: "kind:job_submitted|request_denied who:service:*",
                },
            ],
            outside: "Whether a certificate is shared; accounts on the hosts.",
        },
        Control {
            id: "164.312(b)",
            title: "Activity is recorded and can be examined",
            lictor: "The intent of each command is recorded before it starts, and its end after it; the log can be searched and verified.",
            evidence: &[
                Log,
                Records { what: "Commands that were let pass", query: "kind:job_submitted" },
                Records { what: "Ends on hosts", query: "kind:invocation_ended" },
            ],
            outside: "Which health information a command read or changed.",
        },
        Control {
            id: "164.312(c)(1), (2)",
            title: "Data is protected from improper change",
            lictor: "For the log itself: a change, removal or reordering of records is found by whoever has the public key. Output of \
                commands is bound by digest.",
            evidence: &[
                Log,
                Records {
                    what: "Witnesses that refused the log, and what was done",
                    query: "kind:witness_refused|witness_resolved",
                },
            ],
            outside: "Integrity of health information on the hosts.",
        },
        Control {
            id: "164.312(d)",
            title: "Whoever seeks access is who they say",
            lictor: "People, services and agents prove a key; refused calls are recorded.",
            evidence: &[
                Records {
                    what: "Certificates issued to agents and renewed",
                    query: "kind:agent_enrolled|certificate_renewed",
                },
                Records { what: "Calls that were refused", query: "kind:call_refused" },
            ],
            outside: "How the person behind a key was verified.",
        },
        Control {
            id: "164.316(b)(2)(i)",
            title: "Documentation is kept for six years",
            lictor: "Nothing is ever removed from the log; the head of this report says from when to when it has records.",
            evidence: &[Log],
            outside: "Policies and procedures on paper; archives of earlier systems.",
        },
    ],
    outside: &[
        "164.310: physical safeguards.",
        "164.312(a)(2)(ii) to (iv), (e): emergency access, automatic logoff, encryption of data at rest and of other transmissions.",
        "164.308(a)(1), (2), (7), (8), (b) and 164.314: risk analysis, contingency plans, evaluation, business associates.",
    ],
};
