//! Secrets that are told by their looks: the formats of well-known tokens.
//!
//! Each begins with fixed letters, or follows a lead, so that ordinary text is neither masked nor held back. A lead is let go as
//! it comes, and has no repetitions that are counted: they would multiply the states in which one may be. A token has
//! no upper length where its letters go on: a part of one must not stay because its issuer made it longer.

/// One format.
pub(super) struct Token {
    /// The word in its mark.
    pub(super) kind: &'static str,
    /// What comes before it and stays; `None`: it is known without.
    pub(super) lead: Option<&'static str>,
    /// The token.
    pub(super) secret: &'static str,
    /// How many bytes at its end only tell that it ended, and stay.
    pub(super) after: u64,
}

const fn token(kind: &'static str, secret: &'static str) -> Token {
    Token { kind, lead: None, secret, after: 0 }
}

const fn led(kind: &'static str, lead: &'static str, secret: &'static str, after: u64) -> Token {
    Token { kind, lead: Some(lead), secret, after }
}

/// All of them.
pub(super) const TOKENS: [Token; 21] = [
    token("aws_access_key_id", r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),
    led(
        "aws_secret_access_key",
        r#"(?i:secret_?access_?key|aws_?secret_?key)["']?[ \t]*(?:=>|[=:]|[ \t])[ \t]*["']?"#,
        r"[A-Za-z0-9/+]{40,}",
        0,
    ),
    token("github_token", r"gh[pousr]_[A-Za-z0-9]{30,}"),
    token("github_token", r"github_pat_[A-Za-z0-9_]{40,}"),
    token("gitlab_token", r"gl(?:pat|dt|rt|cbt|ptt|ft|imt|oas|soat|agent)-[A-Za-z0-9_-]{20,}"),
    token("slack_token", r"(?:xox[abcdeoprs]|xapp)-[A-Za-z0-9-]{10,}"),
    led("slack_webhook", r"hooks\.slack\.com/(?:services|workflows|triggers)/", r"[A-Za-z0-9/]{20,}", 0),
    token("google_api_key", r"AIza[A-Za-z0-9_-]{35,}"),
    token("stripe_key", r"(?:sk|rk)_(?:live|test)_[A-Za-z0-9]{16,}"),
    token("stripe_key", r"whsec_[A-Za-z0-9+/=]{24,}"),
    token("npm_token", r"npm_[A-Za-z0-9]{36,}"),
    token("pypi_token", r"pypi-AgE[A-Za-z0-9_-]{32,}"),
    token("vault_token", r"hv[sbr]\.[A-Za-z0-9_-]{20,}"),
    token("anthropic_key", r"sk-ant-[A-Za-z0-9_-]{20,}"),
    token("openai_key", r"sk-(?:proj|svcacct|admin)-[A-Za-z0-9_-]{20,}"),
    token("sendgrid_key", r"SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}"),
    // Header and payload are JSON objects; what is signed without a third part is none the less meant for one reader.
    token("jwt", r"eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)?"),
    // To its end if it has one, else as long as it may go on: also with its line ends escaped, and with headers of old.
    token(
        "private_key",
        r"-----BEGIN [A-Z0-9 ]{0,24}PRIVATE KEY(?: BLOCK)?-----(?:-{0,4}[A-Za-z0-9+/=\s\\:,.()])*(?:-----END [A-Z0-9 ]{0,40}-----)?",
    ),
    led(
        "authorization",
        r#"(?i:authorization["']?[ \t]?[:=][ \t]*["']?(?:bearer|basic|token)[ \t]+)"#,
        r"[A-Za-z0-9._~+/=:-]{6,}",
        0,
    ),
    led(
        "api_key",
        r#"(?i:private-token|x-(?:api-key|auth-token|vault-token))["']?[ \t]?[:=][ \t]*["']?"#,
        r"[A-Za-z0-9._~+/=:-]{6,}",
        0,
    ),
    led("url_password", r#"[A-Za-z0-9]://[^\s/:@"'<>]*:"#, r#"[^\s/@"'<>]{1,512}@"#, 1),
];
