//! PCI DSS: the requirements that the log has evidence for.

use super::{
    Control,
    Evidence::{Log, Records},
    Table,
};

/// The table.
pub(super) static TABLE: Table = Table {
    name: "PCI DSS",
    edition: "version 4.0.1, June 2024",
    controls: &[
        Control {
            id: "6.5.1",
            title: "Changes to systems in production follow procedures",
            lictor: "What was run, by whom and where is recorded before it runs; it can need consent, and go out in waves.",
            evidence: &[
                Records { what: "Commands that were let pass", query: "kind:job_submitted" },
                Records { what: "Consent that was used: its job began", query: "kind:approval_used" },
                Records {
                    what: "Consent refused, expired or void",
                    query: "kind:approval_denied|approval_expired|approval_voided",
                },
                Records {
                    what: "Waves that ended, and their health checks",
                    query: "kind:wave_ended|health_check_started",
                },
            ],
            outside: "Reason, impact, testing and way back of a change, unless a note of consent says them.",
        },
        Control {
            id: "7.2.1, 7.2.2",
            title: "Access is defined by need, and assigned by least privilege",
            lictor: "A versioned policy says who may run what where; what no rule allows is refused.",
            evidence: &[
                Records {
                    what: "Changes of the policy, with digest and author",
                    query: "kind:policy_changed",
                },
                Records { what: "Requests that were refused", query: "kind:request_denied" },
                Records { what: "Refusals by sites, signed by their agents", query: "kind:grant_refused" },
            ],
            outside: "Whether what the policy grants is what the work needs; accounts on the hosts.",
        },
        Control {
            id: "7.2.5",
            title: "Accounts of applications and systems have least privilege",
            lictor: "Services have identities of their own, which the policy judges like people.",
            evidence: &[
                Records {
                    what: "Commands of services that were let pass",
                    query: "kind:job_submitted who:service:*",
                },
                Records {
                    what: "Requests of services that were refused",
                    query: "kind:request_denied who:service:*",
                },
            ],
            outside: "Accounts with which commands run on the hosts, and their reviews.",
        },
        Control {
            id: "7.3.1 to 7.3.3",
            title: "A system restricts access, and refuses by default",
            lictor: "Nothing is sent to a host without a rule that allows it, and an intent recorded before.",
            evidence: &[
                Records {
                    what: "Intents, one for each host, with the rule",
                    query: "kind:invocation_intended",
                },
                Records {
                    what: "Requests that no rule allowed",
                    query: "kind:request_denied code:POLICY_DEFAULT_DENY",
                },
                Records {
                    what: "Calls by identities without the right to make them",
                    query: "kind:call_refused",
                },
            ],
            outside: "Access by other ways than Lictor.",
        },
        Control {
            id: "8.2.1",
            title: "Each user has an identifier of their own",
            lictor: "Every request names a person or a service by certificate or token.",
            evidence: &[
                Records { what: "Requests of people", query: "kind:job_submitted|request_denied who:user:*" },
                Records {
                    what: "Requests of services",
                    query: "kind:job_submitted|request_denied who:service:*",
                },
            ],
            outside: "Whether a certificate is shared; identifiers on the hosts.",
        },
        Control {
            id: "8.2.4",
            title: "Adding and changing identities is authorised",
            lictor: "An agent joins with a token that an operator issued for it.",
            evidence: &[
                Records { what: "Join tokens that operators issued", query: "kind:join_token_issued" },
                Records { what: "Agents that joined", query: "kind:agent_enrolled" },
            ],
            outside: "People's identities, which come from the certificate authority or an identity provider.",
        },
        Control {
            id: "10.2.1.1, 10.2.1.2",
            title: "Access of individuals and acts of administrators are logged",
            lictor: "Every login, every command, its host, who asked and how it ended is in the log.",
            evidence: &[
                Records { what: "Commands that were let pass", query: "kind:job_submitted" },
                Records { what: "Ends on hosts", query: "kind:invocation_ended" },
                Records {
                    what: "Acts of operators: policy, freezes, tokens",
                    query: "kind:policy_changed|freeze_set|freeze_lifted|join_token_issued",
                },
                Records { what: "Logins of people and services", query: "kind:logged_in" },
            ],
            outside: "Access to cardholder data by other ways, and which files a command read.",
        },
        Control {
            id: "10.2.1.3",
            title: "Access to audit logs is logged",
            lictor: "Each reading of the log is a record, with the query.",
            evidence: &[Records { what: "Readings of the log", query: "kind:audit_read" }],
            outside: "Reading of exported files and of backups.",
        },
        Control {
            id: "10.2.1.4",
            title: "Invalid access attempts are logged",
            lictor: "Refused requests and calls are recorded with the reason.",
            evidence: &[
                Records { what: "Requests that were refused", query: "kind:request_denied" },
                Records { what: "Calls that were refused", query: "kind:call_refused" },
                Records { what: "Agents that could not join", query: "kind:enrolment_refused" },
                Records { what: "Grants that sites refused", query: "kind:grant_refused" },
            ],
            outside: "Attempts without a valid certificate, which end in TLS and stand in the controller's own log.",
        },
        Control {
            id: "10.2.1.5",
            title: "Changes to credentials are logged",
            lictor: "Joining, renewal and keys of witnesses and of the log are recorded.",
            evidence: &[
                Records {
                    what: "Tokens, joinings, renewals, revocations",
                    query: "kind:join_token_issued|agent_enrolled|certificate_renewed|agent_revoked",
                },
                Records {
                    what: "Keys of witnesses and of the log",
                    query: "kind:witness_enrolled|log_key_rotated",
                },
            ],
            outside: "Credentials of people and of hosts.",
        },
        Control {
            id: "10.2.1.6",
            title: "Starting and stopping of logs is logged",
            lictor: "The log cannot be stopped while Lictor works: without it nothing runs. Each start of a controller is a record.",
            evidence: &[
                Records { what: "Starts of controllers", query: "kind:controller_started" },
                Records {
                    what: "Settings of each start, and which were changed",
                    query: "kind:configuration_loaded",
                },
            ],
            outside: "That a controller is down is shown by the silence of the log.",
        },
        Control {
            id: "10.2.2",
            title: "Records say who, what, when, from where, how it ended",
            lictor: "Each record has these as fields of their own.",
            evidence: &[
                Records {
                    what: "Requests: who, by which door, for which hosts",
                    query: "kind:job_submitted|request_denied",
                },
                Records {
                    what: "Ends: host, address, outcome, exit code, times",
                    query: "kind:invocation_ended",
                },
            ],
            outside: "The component inside of a host that a command touched.",
        },
        Control {
            id: "10.3.1 to 10.3.4",
            title: "Logs are protected from being read, changed and lost",
            lictor: "Only operators read it. It is a Merkle tree with signed heads, which agents cosign as witnesses: a change, removal or \
                reordering is found by whoever has the public key.",
            evidence: &[
                Log,
                Records { what: "Witnesses that took part", query: "kind:witness_enrolled" },
                Records {
                    what: "Witnesses that refused the log, and what was done",
                    query: "kind:witness_refused|witness_resolved",
                },
            ],
            outside: "Backups of the log, and of copies that were exported or forwarded.",
        },
        Control {
            id: "10.4.1",
            title: "Logs are reviewed",
            lictor: "Each reading of the log is a record.",
            evidence: &[Records { what: "Readings of the log", query: "kind:audit_read" }],
            outside: "That somebody looked daily at what matters, and what they did then.",
        },
        Control {
            id: "10.5.1",
            title: "Logs are kept for a year",
            lictor: "Nothing is ever removed from the log; the head of this report says from when to when it has records.",
            evidence: &[Log],
            outside: "Archives of earlier systems.",
        },
        Control {
            id: "10.7",
            title: "Failures of security controls are found and answered",
            lictor: "Contradictions, evidence that does not hold, and witnesses that refuse are recorded.",
            evidence: &[
                Records {
                    what: "Contradictions and refusals of witnesses",
                    query: "kind:result_conflict|evidence_invalid|witness_refused",
                },
                Records { what: "Freezes that were set and lifted", query: "kind:freeze_set|freeze_lifted" },
            ],
            outside: "Alerts, and failures of other controls.",
        },
        Control {
            id: "12.10",
            title: "Incidents are answered at once",
            lictor: "A freeze holds within a second and stays through restarts.",
            evidence: &[
                Records { what: "Freezes that were set", query: "kind:freeze_set" },
                Records { what: "Jobs that were stopped", query: "kind:cancel_requested|job_halted" },
            ],
            outside: "The incident plan and those who are on call.",
        },
    ],
    outside: &[
        "Requirements 1 to 5, 9 and 11: networks, configuration, stored data, malicious software, physical access, testing.",
        "8.3 to 8.6: strength of authentication of people, multi-factor authentication, passwords of accounts.",
        "10.6: synchronised clocks. Moments are those of the controller's clock; the order of records does not depend on it.",
    ],
};
