//! `/modules`: what there is to collect with, and how each one is set.

use axum::Json;
use mirage_domain::entity::Kind;
use mirage_domain::module::{self, Manifest, Profile, Reach, Reads};
use mirage_workers::node::chosen::manifests;
use serde::Serialize;
use utoipa::ToSchema;

use super::Path;
use super::answer::Refusal;
use super::query::{Nothing, Query};
use crate::auth::Principal;
use crate::error::Problem;

/// A setting of a module.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Setting {
    /// MODULE.KEY
    key: String,
    help: &'static str,
    default: &'static str,
    /// Its value is the node's and never shown.
    is_secret: bool,
    /// Only whoever runs the node sets it.
    is_operators: bool,
}

/// A module.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Module {
    name: &'static str,
    version: u32,
    summary: &'static str,
    /// The lowest in which it runs.
    #[schema(value_type = String)]
    profile: Profile,
    #[schema(value_type = Vec<String>)]
    consumes: &'static [Kind],
    #[schema(value_type = Vec<String>)]
    produces: &'static [Kind],
    /// `network` or `evidence`.
    reads: &'static str,
    /// `in-scope` or `all-names`.
    reach: &'static str,
    /// To its source; 0 where only the limits of the node hold.
    requests_per_minute_max: u32,
    batch_max: usize,
    deadline_s: u64,
    settings: Vec<Setting>,
}

impl From<&Manifest> for Module {
    fn from(manifest: &Manifest) -> Self {
        let setting = |setting: &module::Setting| Setting {
            key: format!("{}.{}", manifest.name, setting.key),
            help: setting.help,
            default: setting.default,
            is_secret: setting.is_secret,
            is_operators: setting.is_operators,
        };
        Self {
            name: manifest.name,
            version: manifest.version,
            summary: manifest.summary,
            profile: manifest.profile,
            consumes: manifest.consumes,
            produces: manifest.produces,
            reads: match manifest.reads {
                Reads::Network => "network",
                Reads::Evidence => "evidence",
            },
            reach: match manifest.reach {
                Reach::InScope => "in-scope",
                Reach::AllNames => "all-names",
            },
            requests_per_minute_max: manifest.requests_per_minute_max,
            batch_max: manifest.batch_max,
            deadline_s: manifest.deadline_s,
            settings: manifest.settings.iter().map(setting).collect(),
        }
    }
}

/// Every module.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Modules {
    items: Vec<Module>,
}

/// Every module, sorted by name
#[utoipa::path(get, path = "/modules", operation_id = "list_modules", tag = "modules",
    responses((status = 200, body = Modules)))]
pub(crate) async fn list(_: Principal, _: Query<Nothing>) -> Json<Modules> {
    Json(Modules {
        items: manifests().map(Module::from).collect(),
    })
}

/// One module with its settings
#[utoipa::path(get, path = "/modules/{module}", operation_id = "get_module", tag = "modules",
    params(("module" = String, Path, description = "Its name")),
    responses((status = 200, body = Module)))]
pub(crate) async fn get(
    _: Principal,
    Path(module): Path<String>,
    _: Query<Nothing>,
) -> Result<Json<Module>, Refusal> {
    let found = manifests().find(|manifest| manifest.name == module);
    let absent = || Problem::new("no_such_module", format!("`{module}`"));
    Ok(Json(found.ok_or_else(absent)?.into()))
}
