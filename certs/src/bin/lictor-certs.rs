//! `lictor-certs`: makes the CA, renews it, issues certificates to people, services and controllers, and shows them.

use std::{
    error::Error,
    fs,
    io::{self, Write as _},
    panic::{self, Location},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use clap::{Args, Parser, Subcommand};
use lictor_certs::{
    ca::Authority,
    csr,
    files::IdentityFiles,
    identity::{self, TrustDomain},
    peer::Peer,
};
use lictor_core::{
    clock::Timestamp,
    digest::Digest,
    name::{PrincipalName, TenantName},
    principal::Identity,
    secret::Secret,
};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};

/// Where the passphrase is looked for when no file is named.
const PASSPHRASE_VARIABLE: &str = "LICTOR_CA_PASSPHRASE";
/// Longest life of a certificate issued by hand, in days: a year and a month for being late.
const MAX_DAYS: u64 = 398;

#[derive(Parser)]
#[command(name = "lictor-certs", version, about = "Make the Lictor CA and issue certificates")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make a new CA in DIR, which must be absent or empty
    Init {
        /// The directory of the CA
        dir: PathBuf,
        /// The trust domain, such as fleet.example
        #[arg(long)]
        domain: TrustDomain,
        #[command(flatten)]
        passphrase: PassphraseArgs,
    },
    /// Replace the issuing CA under the same root
    Renew {
        /// The directory of the CA
        dir: PathBuf,
        #[command(flatten)]
        passphrase: PassphraseArgs,
    },
    /// Make a key and a certificate for a person, a service or a controller
    Issue {
        /// The directory of the CA
        dir: PathBuf,
        #[command(flatten)]
        who: Who,
        /// The tenant of the person or service
        #[arg(long, default_value = "default")]
        tenant: TenantName,
        /// Where <name>.pem, <name>.key and root.pem go
        #[arg(long)]
        out: PathBuf,
        /// How long the certificate is valid
        #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(u64).range(1..=MAX_DAYS))]
        days: u64,
        #[command(flatten)]
        passphrase: PassphraseArgs,
    },
    /// Show the certificates in FILE
    Show {
        /// A file with certificates in PEM form
        file: PathBuf,
    },
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct Who {
    /// A person who operates the fleet
    #[arg(long, value_name = "NAME")]
    user: Option<PrincipalName>,
    /// A machine that asks for jobs
    #[arg(long, value_name = "NAME")]
    service: Option<PrincipalName>,
    /// A controller
    #[arg(long, value_name = "NAME")]
    controller: Option<PrincipalName>,
}

#[derive(Args)]
struct PassphraseArgs {
    /// The file with the passphrase of the CA; else the variable LICTOR_CA_PASSPHRASE has it
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

fn main() -> ExitCode {
    // What a panic says may hold the passphrase: only its place is told. Nobody is left to be told if that fails.
    panic::set_hook(Box::new(|info| {
        let place = info.location().map_or_else(|| "unknown".to_owned(), Location::to_string);
        let _ = writeln!(
            io::stderr(),
            "panicked: a defect of Lictor, please report it with this line at={place}"
        );
    }));
    match run(Cli::parse().command) {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            let mut text = format!("lictor-certs: {error}");
            let mut source = error.source();
            while let Some(cause) = source {
                text = format!("{text}: {cause}");
                source = cause.source();
            }
            let _ = writeln!(io::stderr(), "{text}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<String, Box<dyn Error>> {
    match command {
        Command::Init { dir, domain, passphrase } => {
            let passphrase = passphrase.read()?;
            Authority::create(&dir, &domain, &passphrase, now())?;
            let authority = Authority::load(&dir, &passphrase)?;
            Ok(format!(
                "made a CA for {domain} in {}\nroot fingerprint (SHA-256): {}\n\
                 keep a backup of the directory and of the passphrase, apart from each other\n",
                dir.display(),
                authority.root_fingerprint()
            ))
        }
        Command::Renew { dir, passphrase } => {
            let passphrase = passphrase.read()?;
            Authority::renew_issuing(&dir, &passphrase, now())?;
            let ends = Authority::load(&dir, &passphrase)?.issuing_not_after();
            Ok(format!(
                "made a new issuing CA in {}, valid until {ends}; restart the controller\n",
                dir.display()
            ))
        }
        Command::Issue { dir, who, tenant, out, days, passphrase } => {
            let authority = Authority::load(&dir, &passphrase.read()?)?;
            issue(&authority, &who.identity(tenant)?, &out, days)
        }
        Command::Show { file } => show(&file),
    }
}

fn issue(
    authority: &Authority,
    identity: &Identity,
    out: &Path,
    days: u64,
) -> Result<String, Box<dyn Error>> {
    let request = csr::new_key_request()?;
    let issued = authority.issue(&request.csr_pem, identity, Duration::from_secs(days * 24 * 3600), now())?;
    let stem = match identity {
        Identity::Controller { name } | Identity::Service { name, .. } | Identity::User { name, .. } => {
            name.as_str()
        }
        Identity::Agent { name, .. } => name.as_str(),
    };
    fs::create_dir_all(out)?;
    let files = IdentityFiles::in_dir(out, stem);
    files.write(&issued.chain_pem, &request.key_pem, authority.root_pem())?;
    Ok(format!(
        "issued {}\nserial {}, valid until {}\nwrote {}, {} and {}\n",
        identity::to_uri(identity, authority.domain()),
        issued.serial,
        issued.not_after,
        files.chain.display(),
        files.key.display(),
        files.roots.display()
    ))
}

fn show(file: &Path) -> Result<String, Box<dyn Error>> {
    let mut text = String::new();
    for certificate in CertificateDer::pem_file_iter(file)? {
        let certificate = certificate?;
        let (_, x509) = x509_parser::parse_x509_certificate(&certificate)?;
        let who = match Peer::from_certificate_of_any_domain(&certificate) {
            Ok((domain, peer)) => identity::to_uri(&peer.identity, &domain),
            Err(_) if x509.is_ca() => format!("CA: {}", x509.subject()),
            Err(error) => format!("nobody: {error}"),
        };
        let validity = x509.validity();
        text += &format!(
            "{who}\n  serial      {}\n  valid       {} to {}\n  issuer      {}\n  fingerprint {}\n",
            x509.raw_serial_as_string().replace(':', ""),
            validity.not_before,
            validity.not_after,
            x509.issuer(),
            Digest::of(&certificate)
        );
    }
    if text.is_empty() {
        Err(format!("{} has no certificate in PEM form", file.display()).into())
    } else {
        Ok(text)
    }
}

/// This tool is a process of its own and has no clock injected.
fn now() -> Timestamp {
    let micros = time::OffsetDateTime::now_utc().unix_timestamp_nanos() / 1000;
    Timestamp::from_micros(u64::try_from(micros).unwrap_or(0))
}

// === impl Who ===

impl Who {
    fn identity(self, tenant: TenantName) -> Result<Identity, &'static str> {
        match (self.user, self.service, self.controller) {
            (Some(name), None, None) => Ok(Identity::User { tenant, name }),
            (None, Some(name), None) => Ok(Identity::Service { tenant, name }),
            (None, None, Some(name)) => Ok(Identity::Controller { name }),
            _ => Err("name exactly one of --user, --service and --controller"),
        }
    }
}

// === impl PassphraseArgs ===

impl PassphraseArgs {
    fn read(&self) -> Result<Secret, Box<dyn Error>> {
        use std::os::unix::ffi::OsStringExt as _;
        if let Some(file) = &self.passphrase_file {
            let mut bytes = fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
            while bytes.last().is_some_and(|b| matches!(b, b'\n' | b'\r')) {
                bytes.pop();
            }
            return Ok(Secret::new(bytes));
        }
        match std::env::var_os(PASSPHRASE_VARIABLE) {
            Some(text) => Ok(Secret::new(text.into_vec())),
            None => {
                Err(format!("no passphrase: name a file with --passphrase-file or set {PASSPHRASE_VARIABLE}")
                    .into())
            }
        }
    }
}
