//! `windlass owner`: the person that agents work for.

use clap::{Args, Subcommand};
use serde_json::json;
use windlass::store::{Organization, Organizations as _, Owner};

use crate::exit::{ExitCode, Failure};
use crate::global::Global;
use crate::output::{DIM, Output};
use crate::store::{self, Missing};
use crate::text::escaped;

/// Longest value shown on a line, in characters; `--json` shows all of it.
const SHOWN: usize = 200;

/// Show or set the profile of the agents' owner
///
/// The profile is part of every agent's USER.md: run windlass agents sync after a change, with --overwrite if agents have changed
/// that file.
#[derive(Debug, Args)]
pub(crate) struct OwnerArgs {
    #[command(subcommand)]
    command: OwnerCommand,
}

#[derive(Debug, Subcommand)]
enum OwnerCommand {
    /// Show the profile
    Show,
    /// Set the given fields; an empty value removes a field
    Set(OwnerFields),
}

#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
struct OwnerFields {
    /// The full name
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The form of address
    #[arg(long, value_name = "NAME")]
    preferred_name: Option<String>,
    /// The e-mail address
    #[arg(long, value_name = "ADDRESS")]
    email: Option<String>,
    /// The pronouns
    #[arg(long, value_name = "TEXT")]
    pronouns: Option<String>,
    /// The time zone, for example Europe/Vienna
    #[arg(long, value_name = "ZONE")]
    timezone: Option<String>,
    /// Notes on the person
    #[arg(long, value_name = "TEXT")]
    notes: Option<String>,
    /// The current work of the person
    #[arg(long, value_name = "TEXT")]
    context: Option<String>,
    /// The organization's name
    #[arg(long, value_name = "NAME")]
    organization: Option<String>,
}

pub(crate) async fn run(global: &Global, args: OwnerArgs, output: &Output) -> Result<ExitCode, Failure> {
    let missing = match args.command {
        OwnerCommand::Show => Missing::Refuse,
        OwnerCommand::Set(_) => Missing::Make,
    };
    let store = store::open(global, missing).await?;
    let mut organization = store::organization(&*store).await?;
    if let OwnerCommand::Set(fields) = args.command {
        fields.apply(&mut organization);
        store.put_organization(&organization).await?;
    }
    show(&organization, output)?;
    Ok(ExitCode::Ok)
}

impl OwnerFields {
    fn apply(self, organization: &mut Organization) {
        let owner = &mut organization.owner;
        for (given, kept) in [
            (self.name, &mut owner.name),
            (self.preferred_name, &mut owner.preferred_name),
            (self.email, &mut owner.email),
            (self.pronouns, &mut owner.pronouns),
            (self.timezone, &mut owner.timezone),
            (self.notes, &mut owner.notes),
            (self.context, &mut owner.context),
        ] {
            if let Some(given) = given {
                *kept = Some(given).filter(|text| !text.trim().is_empty());
            }
        }
        if let Some(name) = self.organization {
            organization.name = name;
        }
    }
}

fn show(organization: &Organization, output: &Output) -> Result<(), Failure> {
    let Owner {
        name,
        preferred_name,
        email,
        pronouns,
        timezone,
        notes,
        context,
    } = &organization.owner;
    if output.json() {
        output.value(&json!({
            "organization": organization.name,
            "owner": {
                "name": name,
                "preferredName": preferred_name,
                "email": email,
                "pronouns": pronouns,
                "timezone": timezone,
                "notes": notes,
                "context": context,
            },
        }))?;
        return Ok(());
    }
    let organization = Some(organization.name.clone());
    for (label, value) in [
        ("organization", &organization),
        ("name", name),
        ("preferred name", preferred_name),
        ("email", email),
        ("pronouns", pronouns),
        ("timezone", timezone),
        ("notes", notes),
        ("context", context),
    ] {
        let value = value.as_ref().map_or_else(|| "-".into(), |text| escaped(text, SHOWN));
        output.line(&format!("{DIM}{label:<14}{DIM:#} {value}"))?;
    }
    Ok(())
}
