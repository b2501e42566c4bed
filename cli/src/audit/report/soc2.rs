//! SOC 2: the common criteria of the trust services criteria that the log has evidence for.

use super::{
    Control,
    Evidence::{Log, Records},
    Table,
};

/// The table.
pub(super) static TABLE: Table = Table {
    name: "SOC 2 (trust services criteria, security)",
    edition: "TSP section 100, 2017, points of focus revised 2022",
    controls: &[
        Control {
            id: "CC4.1",
            title: "Controls are watched and evaluated",
            lictor: "The log can be verified by anybody at any time, and each reading of it is itself recorded.",
            evidence: &[Log, Records { what: "Readings of the log", query: "kind:audit_read" }],
            outside: "Whether what was read was understood and followed up; evaluations of other controls.",
        },
        Control {
            id: "CC6.1",
            title: "Logical access to protected systems is restricted",
            lictor: "Every command is judged by a versioned policy before it is sent; what no rule allows is refused. The \
                site that owns a host judges it again.",
            evidence: &[
                Records {
                    what: "Commands that the policy let pass, with rule and version",
                    query: "kind:job_submitted",
                },
                Records {
                    what: "Intents, one for each host, recorded before anything started",
                    query: "kind:invocation_intended",
                },
                Records { what: "Requests that were refused", query: "kind:request_denied" },
                Records { what: "Refusals by sites, signed by their agents", query: "kind:grant_refused" },
                Records {
                    what: "Calls by identities without the right to make them",
                    query: "kind:call_refused",
                },
            ],
            outside: "Accounts, keys and sudo rules on the hosts; access by other ways than Lictor; protection of keys on disks.",
        },
        Control {
            id: "CC6.2",
            title: "Credentials are given to whom they were authorised for",
            lictor: "An agent joins with a token that an operator issued for it, once and for a short time; certificates are short-lived \
                and renewed.",
            evidence: &[
                Records { what: "Join tokens that operators issued", query: "kind:join_token_issued" },
                Records { what: "Agents that joined", query: "kind:agent_enrolled" },
                Records { what: "Agents that were revoked", query: "kind:agent_revoked" },
                Records { what: "Certificates that were renewed", query: "kind:certificate_renewed" },
            ],
            outside: "How people got their certificates and accounts, and how these are withdrawn when they leave.",
        },
        Control {
            id: "CC6.3",
            title: "Access follows roles, least privilege and separation of duties",
            lictor: "Who may run what where is a policy whose versions are kept; risky commands need the consent of others than whoever asks.",
            evidence: &[
                Records {
                    what: "Changes of the policy, with digest and author",
                    query: "kind:policy_changed",
                },
                Records {
                    what: "Policies proposed and tried beside the one in force",
                    query: "kind:shadow_policy_set|shadow_policy_cleared",
                },
                Records { what: "Consent that others gave", query: "kind:approval_given" },
                Records { what: "Consent that others refused", query: "kind:approval_denied" },
                Records { what: "Requests that were refused", query: "kind:request_denied" },
            ],
            outside: "Whether the roles that the policy names suit the work, and periodic reviews of who has them.",
        },
        Control {
            id: "CC6.6",
            title: "Threats from outside of the boundary are kept out",
            lictor: "Every connection is authenticated by certificate; agents dial out, so that sites open no port; what an identity may not \
                call is refused and recorded.",
            evidence: &[
                Records {
                    what: "Calls by identities without the right to make them",
                    query: "kind:call_refused",
                },
                Records {
                    what: "Sessions of agents, with the address they came from",
                    query: "kind:agent_connected",
                },
            ],
            outside: "Firewalls, networks, and attempts that failed before an identity was known (in the controller's own log).",
        },
        Control {
            id: "CC7.1",
            title: "Changes that bring vulnerabilities are found",
            lictor: "Changes of the policy, of settings and of the hosts that a site reports are recorded as they come.",
            evidence: &[
                Records { what: "Changes of sites' lists of hosts", query: "kind:hosts_reported" },
                Records { what: "Changes of the policy", query: "kind:policy_changed" },
                Records {
                    what: "Settings of each start, and which were changed",
                    query: "kind:configuration_loaded",
                },
            ],
            outside: "Vulnerabilities of software and configuration on the hosts.",
        },
        Control {
            id: "CC7.2",
            title: "Anomalies are watched for",
            lictor: "What does not fit is recorded as such, and the log cannot be changed afterwards without being found.",
            evidence: &[
                Log,
                Records {
                    what: "Refused requests, calls, enrolments and grants",
                    query: "kind:request_denied|call_refused|enrolment_refused|grant_refused",
                },
                Records {
                    what: "Results that contradict each other, and evidence that does not hold",
                    query: "kind:result_conflict|evidence_invalid",
                },
                Records { what: "Witnesses that refused the log", query: "kind:witness_refused" },
            ],
            outside: "Whether somebody was alerted, and anomalies inside of what was permitted.",
        },
        Control {
            id: "CC7.3",
            title: "Events are evaluated",
            lictor: "How each invocation ended is recorded; what cannot be known is called unknown, until evidence resolves it.",
            evidence: &[
                Records { what: "Readings of the log", query: "kind:audit_read" },
                Records { what: "Ends of invocations", query: "kind:invocation_ended" },
                Records {
                    what: "Ends that nobody could know",
                    query: "kind:invocation_ended outcome:UNKNOWN",
                },
                Records { what: "Unknown ends that were resolved later", query: "kind:invocation_resolved" },
            ],
            outside: "The judgement of people on what they read.",
        },
        Control {
            id: "CC7.4",
            title: "Incidents are answered",
            lictor: "Operators can freeze hosts, sites or everything, and stop jobs; both hold at once and are recorded with who and why.",
            evidence: &[
                Records { what: "Freezes that were set", query: "kind:freeze_set" },
                Records { what: "Freezes that were lifted", query: "kind:freeze_lifted" },
                Records {
                    what: "Jobs that were stopped",
                    query: "kind:cancel_requested|job_halted|job_paused",
                },
            ],
            outside: "The incident plan, communication, recovery and what was learned.",
        },
        Control {
            id: "CC8.1",
            title: "Changes are authorised, tested and approved",
            lictor: "What was run, by whom and where is recorded before it runs; it can need consent, and go out in waves that a health check \
                gates.",
            evidence: &[
                Records { what: "Commands that were let pass", query: "kind:job_submitted" },
                Records { what: "Jobs that needed consent", query: "kind:approval_requested" },
                Records { what: "Consent that was used: its job began", query: "kind:approval_used" },
                Records {
                    what: "Consent refused, expired or void",
                    query: "kind:approval_denied|approval_expired|approval_voided",
                },
                Records {
                    what: "Waves that ended, and their health checks",
                    query: "kind:wave_ended|health_check_started|wave_begun",
                },
                Records { what: "Changes of the policy", query: "kind:policy_changed" },
            ],
            outside: "Design, testing and tickets of a change outside of Lictor; changes made by other ways.",
        },
    ],
    outside: &[
        "CC1 to CC3, CC5 and CC9: control environment, communication, risk assessment, vendors.",
        "CC6.4 and CC6.5, CC6.7 and CC6.8: physical access, disposal, movement of data, malicious software.",
        "CC7.5 and the criteria for availability, processing integrity, confidentiality and privacy.",
    ],
};
