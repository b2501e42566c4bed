//! Variables that no request may set, whatever a policy says: they change which programs, libraries or start-up files are
//! found, or what is recorded, so that the judged command would no longer be what runs.
//!
//! Sources: environ(7), ld.so(8), `env_delete` and `env_check` in sudoers(5), and the manuals of the programs named.
//! Names are compared without regard to case: some shells and programs read the lower-case spelling too.

/// Which names, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// A whole name, or with `*` at its end every name that begins so.
    pub name: &'static str,
    /// Why, as the end of a sentence.
    pub reason: &'static str,
}

const PROGRAMS: &str = "it decides which programs are found";
const LIBRARIES: &str = "it decides which libraries are loaded, or how";
const SHELL: &str = "it changes how a shell reads or runs what it is given";
const OWN: &str = "shells and login programs set it themselves";
const CODE: &str = "it makes an interpreter load or run other code";
const STARTS: &str = "it makes programs start another program";
const FILES: &str = "it makes programs read other start-up or configuration files";
const NAMES: &str = "it changes how names of hosts or users are looked up";
const RECORD: &str = "it changes what is recorded, or marks what Lictor has started";

/// Whole names, by reason.
const EXACT: [(&str, &str); 9] = [
    (PROGRAMS, "PATH CDPATH FPATH MANPATH MODULE_PATH EXECIGNORE GCC_EXEC_PREFIX COMPILER_PATH"),
    (
        LIBRARIES,
        "LIBPATH SHLIB_PATH GLIBC_TUNABLES GCONV_PATH GETCONF_DIR LOCPATH NLSPATH PATH_LOCALE \
         LIBRARY_PATH OPENSSL_CONF OPENSSL_MODULES OPENSSL_ENGINES SSLKEYLOGFILE QT_PLUGIN_PATH GTK_PATH \
         GTK_MODULES GIO_EXTRA_MODULES",
    ),
    (
        SHELL,
        "IFS ENV PS0 PS1 PS2 PS3 PS4 SHELLOPTS BASHOPTS GLOBIGNORE GLOBSORT POSIXLY_CORRECT \
         PROMPT_COMMAND NULLCMD READNULLCMD ZDOTDIR TMPPREFIX TMOUT INPUTRC FIGNORE COMP_WORDBREAKS \
         EXECSHELL",
    ),
    (
        OWN,
        "HOME USER LOGNAME USERNAME SHELL PWD OLDPWD UID EUID GID EGID PPID GROUPS SHLVL RANDOM SRANDOM \
         SECONDS EPOCHSECONDS EPOCHREALTIME LINENO FUNCNAME OPTIND OPTARG OPTERR PIPESTATUS DIRSTACK \
         HISTCMD HOSTNAME HOSTTYPE MACHTYPE OSTYPE MAIL MAILPATH MAILCHECK KSH_VERSION \
         BASH BASHPID KSHUID KSHGID KSHEGID NETBSD_SHELL TTYIDLE _",
    ),
    (
        CODE,
        "CLASSPATH JAVA_HOME JAVA_OPTS JAVA_OPTIONS _JAVA_OPTIONS JAVA_TOOL_OPTIONS JDK_JAVA_OPTIONS \
         CATALINA_OPTS MAVEN_OPTS GRADLE_OPTS PHPRC PHP_INI_SCAN_DIR TCLLIBPATH R_PROFILE R_PROFILE_USER \
         R_ENVIRON R_ENVIRON_USER GUILE_LOAD_PATH GUILE_LOAD_COMPILED_PATH EMACSLOADPATH AWKPATH \
         AWKLIBPATH VIMINIT GVIMINIT EXINIT VIMRUNTIME MYVIMRC MAKEFLAGS MFLAGS GNUMAKEFLAGS MAKEFILES \
         DOTNET_STARTUP_HOOKS ERL_AFLAGS ERL_FLAGS ERL_ZFLAGS NODE_OPTIONS NODE_PATH NODE_EXTRA_CA_CERTS \
         NODE_REPL_EXTERNAL_MODULE NODE_REPL_HISTORY NODE_CHANNEL_FD NODE_ICU_DATA NODE_COMPILE_CACHE \
         RUSTFLAGS ELIXIR_ERL_OPTIONS JULIA_LOAD_PATH JULIA_DEPOT_PATH",
    ),
    (
        STARTS,
        "EDITOR VISUAL FCEDIT HGEDITOR PAGER MANPAGER BAT_PAGER SYSTEMD_PAGER SYSTEMD_EDITOR LESS \
         LESSOPEN LESSCLOSE LESSEDIT LESSKEY LESSKEYIN LESSKEY_CONTENT MORE BROWSER TAR_OPTIONS TAPE RSH \
         CVS_RSH SVN_SSH HG HGPLAIN HGRCPATH PSQL_PAGER PSQL_EDITOR PSQL_EDITOR_LINENUMBER_ARG \
         DBUS_SESSION_BUS_ADDRESS DBUS_SYSTEM_BUS_ADDRESS FAKEROOTKEY STRACE_OPTS",
    ),
    (
        FILES,
        "PSQLRC PGSYSCONFDIR PGSERVICEFILE PGPASSFILE MYSQL_HOME MYSQL_HISTFILE MYSQL_TEST_LOGIN_FILE \
         WGETRC SYSTEM_WGETRC CURL_HOME NETRC KUBECONFIG AWS_CONFIG_FILE AWS_SHARED_CREDENTIALS_FILE \
         BOTO_CONFIG TERMINFO TERMINFO_DIRS TERMPATH TERMCAP TZDIR LESSHISTFILE SCREENRC NANORC \
         GNUPGHOME CHARSETALIASDIR",
    ),
    (
        NAMES,
        "HOSTALIASES LOCALDOMAIN RES_OPTIONS RESOLV_HOST_CONF RESOLV_ADD_TRIM_DOMAINS NSS_WRAPPER_PASSWD \
         NSS_WRAPPER_GROUP",
    ),
    (
        RECORD,
        "HISTFILE HISTFILESIZE HISTSIZE HISTCONTROL HISTIGNORE HISTTIMEFORMAT PERLIO_DEBUG MALLOC_TRACE \
         RES_LOG",
    ),
];

/// Beginnings of names, by reason.
const BEGINNINGS: [(&str, &str); 6] = [
    (LIBRARIES, "LD_ DYLD_ _RLD LDR_ GST_PLUGIN LIBGL_"),
    (SHELL, "BASH_ ZSH KSH_ FISH_ __FISH"),
    (
        CODE,
        "PYTHON PERL RUBY GEM_ BUNDLE NPM_CONFIG_ LUA_ CARGO_ RUSTC RUSTUP_ GOFLAGS DENO_ BUN_ PHP_ COR_ \
         CORECLR_",
    ),
    (STARTS, "GIT_ SSH_ SUDO_ RSYNC_ ANSIBLE_ DOCKER_ GIO_ TMUX SYSTEMD_ LESS_"),
    (FILES, "XDG_CONFIG_ XDG_DATA_ VIM NVIM"),
    (RECORD, "LICTOR_"),
];

/// Why a variable of this name cannot be set; `None` when it can, if policy permits it.
pub fn refused(name: &str) -> Option<Refused> {
    let name = name.to_ascii_uppercase();
    let mut whole = listed(&EXACT).filter(|(refused, _)| *refused == name);
    let mut begun = listed(&BEGINNINGS).filter(|(beginning, _)| name.starts_with(beginning));
    whole.next().or_else(|| begun.next()).map(|(name, reason)| Refused { name, reason })
}

/// A name that begins with `beginning` and that is refused, if there is one.
pub fn refused_like(beginning: &str) -> Option<Refused> {
    let beginning = beginning.to_ascii_uppercase();
    let mut whole = listed(&EXACT).filter(|(refused, _)| refused.starts_with(&beginning));
    let meets = |refused: &str| refused.starts_with(&beginning) || beginning.starts_with(refused);
    let mut begun = listed(&BEGINNINGS).filter(|(refused, _)| meets(refused));
    whole.next().or_else(|| begun.next()).map(|(name, reason)| Refused { name, reason })
}

/// Each name of a list with its reason.
fn listed(
    lists: &'static [(&'static str, &'static str)],
) -> impl Iterator<Item = (&'static str, &'static str)> {
    lists.iter().flat_map(|(reason, names)| names.split_whitespace().map(move |name| (name, *reason)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_the_program_that_runs_is_refused() {
        for name in [
            "PATH",
            "path",
            "LD_PRELOAD",
            "LD_LIBRARY_PATH",
            "DYLD_INSERT_LIBRARIES",
            "BASH_ENV",
            "ENV",
            "IFS",
            "PS4",
            "SHELLOPTS",
            "BASHOPTS",
            "PYTHONPATH",
            "PYTHONSTARTUP",
            "PERL5OPT",
            "PERL5LIB",
            "RUBYOPT",
            "RUBYLIB",
            "NODE_OPTIONS",
            "npm_config_prefix",
            "GIT_SSH_COMMAND",
            "GIT_EXTERNAL_DIFF",
            "JAVA_TOOL_OPTIONS",
            "LESSOPEN",
            "PAGER",
            "EDITOR",
            "MAKEFLAGS",
            "TAR_OPTIONS",
            "RSYNC_RSH",
            "SUDO_ASKPASS",
            "HOME",
            "SHELL",
            "GLIBC_TUNABLES",
            "GCONV_PATH",
            "HOSTALIASES",
            "ZDOTDIR",
            "HISTFILE",
            "LICTOR_INVOCATION",
            "lictor_x",
            "UID",
            "EUID",
            "PPID",
            "BASH_VERSINFO",
            "BASHPID",
            "KSHUID",
            "NETBSD_SHELL",
            "OPTIND",
            "XDG_CONFIG_HOME",
            "RUSTC_WRAPPER",
        ] {
            assert!(refused(name).is_some(), "{name}");
        }
    }

    #[test]
    fn what_programs_are_usually_told_is_not() {
        for name in [
            "LANG",
            "LANGUAGE",
            "LC_ALL",
            "TZ",
            "TERM",
            "NO_COLOR",
            "APP_ENV",
            "DATABASE_URL",
            "PGDATABASE",
            "PGHOST",
            "PGUSER",
            "http_proxy",
            "NO_PROXY",
            "DEBIAN_FRONTEND",
            "RAILS_ENV",
            "TMPDIR",
            "DEBUG",
            "VERBOSE",
            "PATHS",
            "AWS_REGION",
            "AWS_PROFILE",
            "KUBE_NAMESPACE",
            "HOSTS",
            "_X",
            "NODE_ENV",
            "RUST_LOG",
            "COLUMNS",
            "XDG_RUNTIME_DIR",
        ] {
            assert_eq!(refused(name), None, "{name}");
        }
    }

    #[test]
    fn a_beginning_that_meets_a_refused_name_is_known() {
        for beginning in ["", "P", "PAT", "L", "LD_", "LD_PRE", "git_", "NODE_OPT"] {
            assert!(refused_like(beginning).is_some(), "{beginning}");
        }
        for beginning in ["LC_", "APP_", "PG_", "RAILS_", "MYAPP"] {
            assert_eq!(refused_like(beginning), None, "{beginning}");
        }
    }
}
