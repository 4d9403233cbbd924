//! The description of the interface (OpenAPI 3.1), made from the code.
//!
//! A test keeps `schemas/openapi.json` equal to it.

use axum::http::StatusCode;
use utoipa::PartialSchema;
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, InfoBuilder, OpenApi, OpenApiBuilder, Ref, RefOr, Response, ResponseBuilder,
    ServerBuilder,
};

use crate::rest::answer::Document;
use crate::router::{BASE, REFUSALS, description};

/// What the description says besides the operations.
pub(crate) fn base() -> OpenApi {
    let info = InfoBuilder::new()
        .title("Mirage")
        .version("1")
        .description(Some(
            "Open-source intelligence with memory and proof. Every read can be made as of a position or a time, and says \
             at which position it was made; every write answers its position.",
        ))
        .license(Some(
            utoipa::openapi::LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build(),
        ))
        .build();
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("An API key"))
        .build();
    let components = ComponentsBuilder::new()
        .security_scheme("bearer", SecurityScheme::Http(bearer))
        .schema("Problem", Document::schema())
        .build();
    OpenApiBuilder::new()
        .info(info)
        .servers(Some([ServerBuilder::new().url(BASE).build()]))
        .components(Some(components))
        .security(Some([SecurityRequirement::new("bearer", [""; 0])]))
        .build()
}

/// Adds to each operation how it is refused.
pub(crate) fn complete(mut api: OpenApi) -> OpenApi {
    let problem = |status: u16| -> Response {
        let content = ContentBuilder::new()
            .schema(Some(Ref::from_schema_name("Problem")))
            .build();
        ResponseBuilder::new()
            .description(reason(status))
            .content("application/problem+json", content)
            .build()
    };
    for item in api.paths.paths.values_mut() {
        let operations = [
            &mut item.get,
            &mut item.put,
            &mut item.post,
            &mut item.delete,
            &mut item.patch,
        ];
        for operation in operations.into_iter().flatten() {
            for (status, response) in &mut operation.responses.responses {
                if let RefOr::T(response) = response {
                    response.description = reason(status.parse().unwrap_or_default()).to_owned();
                }
            }
            for status in REFUSALS {
                let code = status.as_u16();
                let responses = &mut operation.responses.responses;
                responses
                    .entry(code.to_string())
                    .or_insert_with(|| RefOr::T(problem(code)));
            }
        }
    }
    api
}

/// What a status says.
fn reason(status: u16) -> &'static str {
    let status = StatusCode::from_u16(status).ok();
    status
        .and_then(|status| status.canonical_reason())
        .unwrap_or("Refused")
}

/// The document as it is served and kept.
pub fn document() -> String {
    let mut text = description()
        .to_pretty_json()
        .expect("the description is JSON");
    text.push('\n');
    text
}
