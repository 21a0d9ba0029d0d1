//! Clients of a control plane, and who may do what there.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, ServiceAccount};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, RoleRef, Subject};
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};

use super::ControlPlane;
use crate::lab::kubeconfig::Login;
use crate::lab::kubectl::Kubectl;
use crate::lab::wait::until;

/// The authorizer follows its roles by a watch.
const IN_FORCE: Duration = Duration::from_secs(30);

impl ControlPlane {
    /// A client as `system:masters`. Made anew at each call: it belongs to the runtime that it is made on.
    pub async fn admin_client(&self) -> Result<Client> {
        self.client(&Login::Certificate(self.admin())).await
    }

    /// A client for a login.
    pub async fn client(&self, login: &Login) -> Result<Client> {
        self.kubeconfig(login).client().await
    }

    /// A client that reaches `cluster` through this hub and the gateway behind it.
    pub async fn client_through(&self, cluster: &str, login: &Login) -> Result<Client> {
        let mut config = self.kubeconfig(login).config().await?;
        config.cluster_url = self.proxy_url(cluster).parse()?;
        Ok(Client::try_from(config)?)
    }

    /// Where a client of this hub finds the API of `cluster`.
    pub fn proxy_url(&self, cluster: &str) -> String {
        format!("{}/apis/cluster.core.oam.dev/v1alpha1/clustergateways/{cluster}/proxy", self.url())
    }

    /// Writes a kubeconfig for a login into the lab's folder; `user` is only for the file's name.
    pub fn write_kubeconfig(&self, user: &str, login: &Login) -> Result<PathBuf> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = self.folder.join(format!("{}-{number}.kubeconfig", user.replace(['/', ':'], "-")));
        self.kubeconfig(login).write(&path)?;
        Ok(path)
    }

    /// The lab's kubectl as the admin.
    pub fn admin_kubectl(&self) -> Kubectl {
        Kubectl::new(self.admin_kubeconfig())
    }

    /// The lab's kubectl as a user with a certificate.
    pub fn kubectl(&self, user: &str, groups: &[&str]) -> Result<Kubectl> {
        let login = Login::Certificate(self.issue(user, groups)?);
        Ok(Kubectl::new(self.write_kubeconfig(user, &login)?))
    }

    /// Makes a namespace; one that is there is fine.
    pub async fn ensure_namespace(&self, name: &str) -> Result<()> {
        let namespaces: Api<Namespace> = Api::all(self.admin_client().await?);
        let namespace = Namespace { metadata: named(name), ..Namespace::default() };
        fine_if_there(namespaces.create(&PostParams::default(), &namespace).await)
    }

    /// A token of a service account, both made when they are not there. The API server allows no lifetime
    /// under ten minutes; an hour when none is asked for.
    pub async fn service_account_token(
        &self,
        namespace: &str,
        name: &str,
        lifetime: Option<Duration>,
    ) -> Result<String> {
        self.ensure_namespace(namespace).await?;
        let accounts: Api<ServiceAccount> = Api::namespaced(self.admin_client().await?, namespace);
        let account = ServiceAccount { metadata: named(name), ..ServiceAccount::default() };
        fine_if_there(accounts.create(&PostParams::default(), &account).await)?;
        let request = TokenRequest {
            spec: TokenRequestSpec {
                expiration_seconds: Some(lifetime.map_or(3600, |lifetime| lifetime.as_secs() as i64)),
                ..TokenRequestSpec::default()
            },
            ..TokenRequest::default()
        };
        let answer = accounts
            .create_token_request(name, &PostParams::default(), &request)
            .await
            .with_context(|| format!("asking {} for a token of {namespace}/{name}", self.name()))?;
        Ok(answer.status.context("a token request without a status")?.token)
    }

    /// Lets `subject` do what `rules` say: a ClusterRole and its binding, both called `name`. Waits until the
    /// server's authorizer has seen them.
    pub async fn grant(&self, name: &str, subject: Subject, rules: Vec<PolicyRule>) -> Result<()> {
        let client = self.admin_client().await?;
        let role = ClusterRole { metadata: named(name), rules: Some(rules), ..ClusterRole::default() };
        let binding = ClusterRoleBinding {
            metadata: named(name),
            role_ref: RoleRef {
                api_group: "rbac.authorization.k8s.io".to_owned(),
                kind: "ClusterRole".to_owned(),
                name: name.to_owned(),
            },
            subjects: Some(vec![subject.clone()]),
        };
        let review = role.rules.iter().flatten().find_map(|rule| review(&subject, rule));
        Api::<ClusterRole>::all(client.clone()).create(&PostParams::default(), &role).await?;
        Api::<ClusterRoleBinding>::all(client.clone()).create(&PostParams::default(), &binding).await?;
        let Some(review) = review else { return Ok(()) };
        let reviews: Api<SubjectAccessReview> = Api::all(client);
        until(&format!("{name} in force on {}", self.name()), IN_FORCE, || async {
            let status = reviews.create(&PostParams::default(), &review).await?.status;
            ensure!(status.is_some_and(|status| status.allowed), "the authorizer says no");
            Ok(())
        })
        .await
    }

    /// Lets `subject` do everything.
    pub async fn grant_all(&self, name: &str, subject: Subject) -> Result<()> {
        let everything = PolicyRule {
            non_resource_urls: Some(vec!["*".to_owned()]),
            verbs: vec!["*".to_owned()],
            ..PolicyRule::default()
        };
        self.grant(name, subject, vec![rule("*", "*", &["*"]), everything]).await
    }

    /// Puts a ConfigMap `whoami` with this control plane's name into `default`: how a test sees which cluster
    /// answered.
    pub(crate) async fn sign(&self) -> Result<()> {
        // The API server makes `default` itself, but not before it says that it is ready.
        self.ensure_namespace("default").await?;
        let maps: Api<ConfigMap> = Api::namespaced(self.admin_client().await?, "default");
        let map = ConfigMap {
            metadata: named("whoami"),
            data: Some([("name".to_owned(), self.name().to_owned())].into()),
            ..ConfigMap::default()
        };
        fine_if_there(maps.create(&PostParams::default(), &map).await)
    }
}

/// A user, as RBAC names one.
pub fn user(name: &str) -> Subject {
    Subject {
        api_group: Some("rbac.authorization.k8s.io".to_owned()),
        kind: "User".to_owned(),
        name: name.to_owned(),
        namespace: None,
    }
}

/// A group, as RBAC names one.
pub fn group(name: &str) -> Subject {
    Subject { kind: "Group".to_owned(), ..user(name) }
}

/// A service account, as RBAC names one.
pub fn service_account(namespace: &str, name: &str) -> Subject {
    Subject {
        api_group: None,
        kind: "ServiceAccount".to_owned(),
        name: name.to_owned(),
        namespace: Some(namespace.to_owned()),
    }
}

/// A rule on one resource (or `*`) of one API group.
pub fn rule(api_group: &str, resource: &str, verbs: &[&str]) -> PolicyRule {
    PolicyRule {
        api_groups: Some(vec![api_group.to_owned()]),
        resources: Some(vec![resource.to_owned()]),
        verbs: verbs.iter().map(|&verb| verb.to_owned()).collect(),
        ..PolicyRule::default()
    }
}

/// The question whether `subject` may do what the rule's first words allow.
fn review(subject: &Subject, rule: &PolicyRule) -> Option<SubjectAccessReview> {
    let first = |list: &Option<Vec<String>>| list.as_ref().and_then(|list| list.first()).cloned();
    let resource = first(&rule.resources)?;
    let (resource, subresource) = resource.split_once('/').unwrap_or((&resource, ""));
    let mut spec = SubjectAccessReviewSpec {
        resource_attributes: Some(ResourceAttributes {
            group: first(&rule.api_groups),
            resource: Some(resource.to_owned()),
            subresource: Some(subresource.to_owned()),
            name: first(&rule.resource_names),
            verb: rule.verbs.first().cloned(),
            ..ResourceAttributes::default()
        }),
        ..SubjectAccessReviewSpec::default()
    };
    match (subject.kind.as_str(), &subject.namespace) {
        ("Group", _) => (spec.user, spec.groups) = (Some("lab".to_owned()), Some(vec![subject.name.clone()])),
        ("ServiceAccount", Some(namespace)) => {
            spec.user = Some(format!("system:serviceaccount:{namespace}:{}", subject.name));
        }
        _ => spec.user = Some(subject.name.clone()),
    }
    Some(SubjectAccessReview { spec, ..SubjectAccessReview::default() })
}

fn named(name: &str) -> ObjectMeta {
    ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() }
}

fn fine_if_there<T>(result: kube::Result<T>) -> Result<()> {
    match result {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
        Err(error) => Err(error.into()),
    }
}
