//! Writing a cluster's health: PUT and PATCH of `clustergateways/NAME/health`.
//!
//! The order in which things are looked at is kube-apiserver's (endpoints/handlers/update.go and patch.go), because
//! the first of two mistakes is the one that is told. What comes out is what the Secret's annotations are to say; who
//! writes them, and what a conflict means, is not decided here.

mod body;
mod fields;
mod options;
mod patch;
mod raw;
mod warnings;

use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::clusters::{Cluster, Health, Table};
use crate::model::{Answer, Details, Query, Reason, Status};

use super::negotiation::{self, Wanted};
use super::resource::{Object, Resource};
use super::{Api, Request, gateway, list, restful, serve};

use body::Input;
use options::{Options, Validation};
use patch::PatchType;
pub use warnings::Warnings;

/// The most that a body may hold: kube-apiserver's `MaxRequestBodyBytes`.
pub const BODY_LIMIT: usize = 3 * 1024 * 1024;

/// The subresource.
const SUBRESOURCE: &str = "health";
const KIND: &str = "ClusterGateway";

/// A write that was begun: its body is still to be read.
pub struct HealthWrite<'a> {
    api: &'a Api,
    request: Request<'a>,
    name: &'a str,
    wanted: Wanted,
    patch: Option<PatchType>,
}

/// A write whose body was understood.
pub struct HealthChange {
    what: What,
    options: Options,
}

enum What {
    /// The object as it is to be.
    Object(Value),
    /// Not looked at before there is something to patch.
    Patch(PatchType, Bytes),
}

/// What is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthWanted {
    /// The health.
    pub health: Health,
    /// The version that the caller insists on. None: whatever is there now.
    pub resource_version: Option<String>,
    /// Nothing is to be stored.
    pub dry_run: bool,
    /// Who is said to have changed it.
    pub field_manager: Option<String>,
}

impl Api {
    /// The write that a request asks for; none when it asks for something else.
    pub fn health_write<'a>(&'a self, request: &Request<'a>) -> Option<Result<HealthWrite<'a>, Status>> {
        if !matches!(*request.method, Method::PUT | Method::PATCH) {
            return None;
        }
        let parts = serve::parts(request.path);
        let [_, group, version, serve::RESOURCE, name, SUBRESOURCE] = parts[..] else { return None };
        if group != self.group.as_str() || version != super::VERSION || parts[0] != "apis" || name.is_empty()
        {
            return None;
        }
        Some(HealthWrite::begin(self, *request, name))
    }

    /// 409: somebody else was faster.
    pub fn conflict(&self, name: &str, why: &str) -> Status {
        let group = self.group.as_str();
        let resource = serve::RESOURCE;
        let message = format!("Operation cannot be fulfilled on {resource}.{group} {name:?}: {why}");
        Status::new(Reason::Conflict, message).with_details(Details {
            name: name.to_owned(),
            group: group.to_owned(),
            kind: resource.to_owned(),
            ..Details::default()
        })
    }

    /// The cluster of a name: 503 before there was a table, 404 when it is not in it.
    pub fn cluster<'a>(&self, clusters: &'a Table, name: &str) -> Result<&'a Arc<Cluster>, Status> {
        serve::filled(clusters)?;
        clusters.get(name).ok_or_else(|| self.no_cluster(name))
    }

    /// 404
    pub fn no_cluster(&self, name: &str) -> Status {
        Status::object_not_found(self.group.as_str(), serve::RESOURCE, name)
    }
}

/// What a conflict of versions is called.
pub const MODIFIED: &str =
    "the object has been modified; please apply your changes to the latest version and try again";

impl<'a> HealthWrite<'a> {
    fn begin(api: &'a Api, request: Request<'a>, name: &'a str) -> Result<Self, Status> {
        let content_type = request.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let patch = match *request.method {
            Method::PATCH => Some(PatchType::of(content_type.unwrap_or_default())?),
            _ => None,
        };
        restful::acceptable(request.headers, restful::Produces::One)?;
        let wanted = negotiation::object(&request, KIND)?;
        Ok(Self { api, request, name, wanted, patch })
    }

    /// The cluster's name.
    pub fn name(&self) -> &str {
        self.name
    }

    /// Reads the body.
    pub fn read(&self, body: Bytes, warnings: &mut Warnings) -> Result<HealthChange, Status> {
        let query = Query::new(self.request.query);
        if let Some(kind) = self.patch {
            let options = Options::of_patch(&query)?;
            return Ok(HealthChange { what: What::Patch(kind, body), options });
        }
        let options = Options::of_update(&query)?;
        let decoded = Input::of(self.request.headers)?.object(&body, self.api.group.as_str())?;
        let (schema, definitions) = self.api.openapi.schema(&self.api.group, KIND);
        if let Some(problem) = fields::mistyped(&decoded.value, schema, definitions, KIND) {
            return Err(body::unusable(&problem));
        }
        if options.validation != Validation::Ignore {
            let (found, text) = decoded.strict(schema, definitions);
            warn(options.validation, found, &text, warnings).map_err(|problem| body::unusable(&problem))?;
        }
        self.check_name(&decoded.value)?;
        Ok(HealthChange { what: What::Object(concise(&decoded.value)), options })
    }

    /// What is to be written to a cluster as it is now.
    pub fn apply(
        &self,
        change: &HealthChange,
        cluster: &Cluster,
        warnings: &mut Warnings,
    ) -> Result<HealthWanted, Status> {
        let own = &cluster.metadata;
        let (object, resource_version) = match &change.what {
            What::Object(object) => {
                let uid = object["metadata"]["uid"].as_str().unwrap_or_default();
                if !uid.is_empty() && uid != own.uid {
                    let key = format!("/{}/{}", serve::RESOURCE, self.name);
                    return Err(self.api.conflict(
                        self.name,
                        &format!(
                            "StorageError: invalid object, Code: 4, Key: {key}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
                            own.uid
                        ),
                    ));
                }
                let version = object["metadata"]["resourceVersion"].as_str().unwrap_or_default();
                (object.clone(), Some(version).filter(|version| !matches!(*version, "" | "0")))
            }
            What::Patch(kind, body) => {
                let validation = change.options.validation;
                let (patch, found) = patch::Patch::read(*kind, body, validation)?;
                let shown = serde_json::to_value(gateway::show(cluster, cluster.version, &self.api.group))
                    .map_err(|error| {
                        Status::new(Reason::InternalError, format!("the object cannot be written: {error}"))
                    })?;
                let object = self.patched(&patch, found, &shown, validation, warnings)?;
                self.check_name(&object)?;
                (object, None)
            }
        };
        // A patch that names a version insists on it; one that does not is for whatever is there.
        let patched = object["metadata"]["resourceVersion"].as_str().unwrap_or_default();
        // What was shown may be a later version than the Secret's.
        let shown = cluster.version.to_string();
        let insisted = match &change.what {
            What::Object(_) => resource_version.map(|version| match version == shown {
                true => own.resource_version.clone(),
                false => version.to_owned(),
            }),
            What::Patch(..) => (!matches!(patched, "" | "0") && patched != shown).then(|| patched.to_owned()),
        };
        let status = &object["status"];
        Ok(HealthWanted {
            health: Health {
                healthy: status["healthy"].as_bool().unwrap_or_default(),
                reason: status["healthyReason"].as_str().unwrap_or_default().to_owned(),
            },
            resource_version: insisted,
            dry_run: change.options.dry_run,
            field_manager: change.options.field_manager.clone(),
        })
    }

    /// The object after a patch, which has to be one of ours. `found`: what is wrong with the patch itself.
    fn patched(
        &self,
        patch: &patch::Patch,
        mut found: Vec<String>,
        shown: &Value,
        validation: Validation,
        warnings: &mut Warnings,
    ) -> Result<Value, Status> {
        let object = patch.apply(shown)?;
        let (schema, definitions) = self.api.openapi.schema(&self.api.group, KIND);
        let refuse = |problem: String| {
            let text = format!("Invalid value: {:?}: {problem}", told(&object));
            options::invalid("", "", "", vec![("patch", "FieldValueInvalid", text)])
        };
        if let Some(problem) = fields::mistyped(&object, schema, definitions, KIND) {
            return Err(refuse(problem));
        }
        if validation != Validation::Ignore {
            found.extend(fields::strict(&object.clone().into(), schema, definitions));
            let text = found.join(", ");
            warn(validation, found, &text, warnings).map_err(refuse)?;
        }
        let (before, after) = (&shown["metadata"]["uid"], &object["metadata"]["uid"]);
        if before != after && !after.is_null() && after != "" {
            let text = format!("Invalid value: {after}: field is immutable");
            let problem = ("metadata.uid", "FieldValueInvalid", text);
            // Told twice, as by kube-apiserver, where two look at it.
            let problems = vec![problem.clone(), problem];
            return Err(options::invalid(self.api.group.as_str(), KIND, self.name, problems));
        }
        Ok(object)
    }

    fn check_name(&self, object: &Value) -> Result<(), Status> {
        let name = self.name;
        let message = match object["metadata"]["name"].as_str().unwrap_or_default() {
            own if own == name => return Ok(()),
            "" => format!(
                "the name of the object ({name} based on URL) was undeterminable: name must be provided"
            ),
            other => format!("the name of the object ({other}) does not match the name on the URL ({name})"),
        };
        Err(Status::new(Reason::BadRequest, message))
    }

    /// The answer: the cluster as it is now.
    pub fn answer(&self, cluster: &Cluster) -> Result<Answer, Status> {
        let object = Object::Gateway(cluster);
        let mut answer = list::one(self.api, &self.request, self.wanted, Resource::ClusterGateways, object)?;
        *answer.status_mut() = StatusCode::OK;
        Ok(answer)
    }
}

/// An object as a message has it: without the credential that it may show to its reader, because messages are kept in
/// audit logs, and not as large as a body may be.
fn told(object: &Value) -> String {
    const LONGEST: usize = 64 << 10;
    let mut object = object.clone();
    if let Some(access) = object.pointer_mut("/spec/access").and_then(Value::as_object_mut) {
        access.remove("credential");
    }
    object.to_string().chars().take(LONGEST).collect()
}

/// What is looked at of an object that is to be written: whatever else was sent is not kept until it is.
fn concise(object: &Value) -> Value {
    let (metadata, status) = (&object["metadata"], &object["status"]);
    json!({
        "metadata": {"name": metadata["name"], "uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]},
        "status": {"healthy": status["healthy"], "healthyReason": status["healthyReason"]},
    })
}

/// Warns of what was found, or refuses it, in one text.
fn warn(
    validation: Validation,
    found: Vec<String>,
    text: &str,
    warnings: &mut Warnings,
) -> Result<(), String> {
    if validation == Validation::Strict && !found.is_empty() {
        return Err(format!("strict decoding error: {text}"));
    }
    found.into_iter().for_each(|problem| warnings.add(problem));
    Ok(())
}

#[cfg(test)]
mod tests;
