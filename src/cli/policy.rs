//! `policy explain`: what the service decides, and why, which it does not tell its callers.

use std::{path::Path, sync::Arc};

use clap::{ArgGroup, Subcommand};

use super::{ConfigFile, Failure, output::say};
use crate::{
    caller::Caller,
    config::Config,
    field::InvalidField,
    identity::UserId,
    policy::{Basis, Decision, Mismatch, Permission, Question, Rule, Target},
    provider::{
        self, Provider,
        request::{ApiRequest, RawRequest},
    },
    rpc::Rpc,
};

#[derive(Subcommand)]
pub(super) enum Command {
    /// Say whether a caller may do something, by which rule, and what every other rule lacks
    ///
    /// Decides as the service does with this configuration. Nobody is asked anything, and secrets may be made
    /// up: `AUTH0_CLIENT_SECRET=x` takes the place of one. Ends with 0 if it is allowed, and with 1 if it is
    /// denied.
    Explain(Arguments),
}

#[derive(clap::Args)]
#[command(group = ArgGroup::new("who").required(true))]
pub(super) struct Arguments {
    #[command(flatten)]
    file: ConfigFile,
    /// A service, by its id: a SAN of its certificate, or the subject of its JWT
    #[arg(long, value_name = "ID", group = "who")]
    caller: Option<String>,
    /// An end user, by the subject of the access token
    #[arg(long, value_name = "SUB", group = "who")]
    end_user: Option<String>,
    /// For which user; an end user asks for themselves unless this says otherwise
    #[arg(long, value_name = "ID")]
    user: Option<String>,
    /// What is asked for
    #[arg(long, value_name = "NAME", default_value = "CallProvider")]
    rpc: String,
    /// With GetIdentityToken: and for the refresh token
    #[arg(long)]
    refresh_token: bool,
    /// The identity's strategy, such as `github`; that of the connection where it is known
    #[arg(long, value_name = "STRATEGY")]
    provider: Option<String>,
    /// The identity's connection; called after its strategy unless this says otherwise
    #[arg(long, value_name = "NAME")]
    connection: Option<String>,
    /// What is to be sent, such as `GET api.github.com/user`; `GET /user` goes to the provider's main host
    #[arg(long, value_name = "REQUEST")]
    request: Option<String>,
}

/// The identity that a question is about. Both fields are empty for all of a user's identities.
#[derive(Default)]
struct Whose {
    provider: String,
    connection: String,
}

pub(super) fn run(command: &Command) -> Result<(), Failure> {
    let Command::Explain(arguments) = command;
    let config = arguments.file.load()?;
    let policy = config.policy();
    let (caller, user) = people(arguments)?;
    let needs = needs(arguments)?;
    let permission = needs[0];
    let whose = whose(arguments, permission, |connection| policy.strategy_of(connection))?;
    let sent = sent(arguments, permission, &config, &whose)?;
    let target = sent.as_ref().map(|(request, path)| Target::of(request, path));
    let question = Question {
        user: user.as_ref(),
        needs: &needs,
        provider: &whose.provider,
        connection: &whose.connection,
        target,
    };
    let decision = policy.explain(&caller, &question);
    tell(&decision, &question, arguments.file.config.as_deref())?;
    if decision.basis.is_allowed() { Ok(()) } else { Err(Failure::Denied) }
}

fn usage(text: impl Into<String>) -> Failure {
    Failure::Usage(text.into())
}

fn people(arguments: &Arguments) -> Result<(Caller, Option<UserId>), Failure> {
    let parse = |id: &String, flag: &str| {
        UserId::parse(id.clone(), flag)
            .map_err(|InvalidField { field, problem }| usage(format!("{field} {problem}")))
    };
    let user = arguments.user.as_ref().map(|id| parse(id, "--user")).transpose()?;
    match (&arguments.caller, &arguments.end_user) {
        (_, Some(subject)) => {
            let subject = parse(subject, "--end-user")?;
            let user = user.unwrap_or_else(|| subject.clone());
            Ok((Caller::EndUser { subject, access_token: Arc::default() }, Some(user)))
        }
        (Some(id), None) => Ok((Caller::Service { id: id.clone() }, user)),
        (None, None) => Ok((Caller::Anonymous, user)),
    }
}

fn needs(arguments: &Arguments) -> Result<Vec<Permission>, Failure> {
    let unknown = || usage(format!("--rpc must be one of {}", Rpc::ALL.map(Rpc::name).join(", ")));
    let rpc = Rpc::named(&arguments.rpc).ok_or_else(unknown)?;
    match (rpc, arguments.refresh_token) {
        (Rpc::GetIdentityToken, true) => Ok(vec![Permission::Rpc(rpc), Permission::RefreshToken]),
        (_, true) => Err(usage("--refresh-token goes with `--rpc GetIdentityToken`")),
        (_, false) => Ok(vec![Permission::Rpc(rpc)]),
    }
}

/// Returns one identity, as far as the rules look at it. Lists are about all of a user's.
fn whose<'a>(
    arguments: &Arguments,
    permission: Permission,
    strategy_of: impl Fn(&str) -> Option<&'a str>,
) -> Result<Whose, Failure> {
    // A link is for a connection: its request does not name the strategy.
    let provider =
        arguments.provider.clone().filter(|_| permission != Permission::Rpc(Rpc::CreateConnectLink));
    let named = arguments.connection.clone().or_else(|| arguments.provider.clone());
    match named {
        Some(connection) => {
            let known = || strategy_of(&connection).unwrap_or(&connection).to_owned();
            Ok(Whose { provider: provider.unwrap_or_else(known), connection })
        }
        None if permission == Permission::Rpc(Rpc::ListIdentities) => Ok(Whose::default()),
        None => Err(usage("name the identity: --provider, --connection or both")),
    }
}

/// Returns the request as it is sent, and its path.
fn sent(
    arguments: &Arguments,
    permission: Permission,
    config: &Config,
    whose: &Whose,
) -> Result<Option<(ApiRequest, String)>, Failure> {
    let text = match (&arguments.request, permission.sends_requests()) {
        (Some(text), true) => text,
        (None, false) => return Ok(None),
        (None, true) => return Err(usage("say what is to be sent: --request \"GET api.github.com/user\"")),
        (Some(_), false) => {
            return Err(usage("--request goes with `--rpc CallProvider` or `StreamProvider`"));
        }
    };
    let shape =
        || usage("--request must be a method, a space, a host and a path, such as `GET api.github.com/user`");
    let (method, place) = text.split_once(' ').ok_or_else(shape)?;
    let (host, path) = place.split_at(place.find('/').ok_or_else(shape)?);
    let adapter = adapter(config, whose).ok_or_else(|| {
        let provider = &whose.provider;
        usage(format!(
            "there is no adapter for {provider}, so that calls are answered with OPERATION_UNSUPPORTED"
        ))
    })?;
    let (method, host, path) = (method.to_owned(), host.to_owned(), path.to_owned());
    let request = ApiRequest::check(RawRequest { method, host, path, ..RawRequest::default() }, &*adapter);
    let request = request.map_err(|InvalidField { field, problem }| {
        usage(format!("the service refuses this request before it asks the policy: {field} {problem}"))
    })?;
    let path = adapter.sent_path(request.path_and_query.path()).into_owned();
    Ok(Some((request, path)))
}

/// Returns the adapter of the connection or, if it has none of its own, of the strategy.
fn adapter(config: &Config, whose: &Whose) -> Option<Box<dyn Provider>> {
    let configured = [&whose.connection, &whose.provider]
        .into_iter()
        .filter_map(|name| config.providers.get(name))
        .find(|configured| configured.strategy.as_str() == whose.provider)?;
    provider::build(configured.strategy.as_str(), configured.settings.clone())
}

fn tell(decision: &Decision<'_>, question: &Question<'_>, file: Option<&Path>) -> Result<(), Failure> {
    let needs: Vec<_> = question.needs.iter().map(|permission| permission.name()).collect();
    let identity = match (question.provider, question.connection) {
        ("", _) => String::new(),
        (provider, connection) => format!(", identity {provider} of connection {connection}"),
    };
    let request = question.target.map(|target| format!(", {target}")).unwrap_or_default();
    say(format_args!("asked    {}{identity}{request}", needs.join(" with ")))?;
    say(match decision.basis {
        Basis::Rule(rule) => format!("ALLOWED  by {}", named(rule, file)),
        Basis::NoRules => "ALLOWED  there are no rules, so whoever reaches the port may".to_owned(),
        Basis::Principle(why) => format!("DENIED   whatever the rules say: {why}"),
        Basis::Default => "DENIED   no rule allows it".to_owned(),
    })?;
    let deciding = match decision.basis {
        Basis::Rule(rule) => Some(rule),
        _ => None,
    };
    let others =
        decision.rules.iter().filter(|(rule, _)| deciding.is_none_or(|one| !std::ptr::eq(one, *rule)));
    for (rule, judgement) in others {
        say(format_args!("         {}: {}", named(rule, file), words(rule, judgement)))?;
    }
    Ok(())
}

/// Names the rule with its place, as compilers write it.
fn named(rule: &Rule, file: Option<&Path>) -> String {
    match (file, rule.line) {
        (Some(file), Some(line)) => format!("{}:{line} {}", file.display(), rule.who),
        _ => rule.who.to_string(),
    }
}

fn words(rule: &Rule, judgement: &Result<(), Mismatch>) -> String {
    match judgement {
        Ok(()) => "allows it, too".to_owned(),
        Err(Mismatch::Caller) => "is about other callers".to_owned(),
        Err(Mismatch::Permission(lacking)) => format!("`allow` lacks {}", lacking.name()),
        Err(Mismatch::Provider) => format!("not with `providers` {}", listed(&rule.providers)),
        Err(Mismatch::Request) => format!("not by `requests` {}", listed(&rule.requests)),
    }
}

fn listed(items: &[impl ToString]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
