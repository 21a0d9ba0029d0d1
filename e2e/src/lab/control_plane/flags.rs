//! The command line of a kube-apiserver of the lab.

use super::{ControlPlaneOptions, Role};

/// Values that the command line names.
pub(super) struct Flags<'a> {
    pub(super) options: &'a ControlPlaneOptions,
    pub(super) etcd_url: &'a str,
    pub(super) port: u16,
}

impl Flags<'_> {
    /// All flags; the files are those that [`super::files`] writes, relative to the process's folder.
    pub(super) fn arguments(&self) -> Vec<String> {
        let options = self.options;
        let mut flags: Vec<String> = [
            "--bind-address=127.0.0.1",
            // 127.0.0.1 may not be advertised; nobody goes there, since no endpoints are reconciled.
            "--advertise-address=10.0.0.1",
            "--endpoint-reconciler-type=none",
            "--tls-cert-file=server.crt",
            "--tls-private-key-file=server.key",
            "--client-ca-file=ca.crt",
            "--service-account-issuer=https://kubernetes.default.svc",
            "--service-account-key-file=service-account.pub",
            "--service-account-signing-key-file=service-account.key",
            "--authorization-mode=Node,RBAC",
            "--allow-privileged=true",
            // No controller-manager makes the default service account that this plugin waits for.
            "--disable-admission-plugins=ServiceAccount",
            "--kubelet-preferred-address-types=InternalIP",
        ]
        .map(str::to_owned)
        .into();
        flags.push(format!("--etcd-servers={}", self.etcd_url));
        flags.push(format!("--etcd-prefix=/{}", options.name));
        flags.push(format!("--secure-port={}", self.port));
        flags.push(format!("--service-cluster-ip-range={}", options.service_cidr));
        if options.role == Role::Hub {
            flags.extend(
                [
                    "--requestheader-client-ca-file=front-proxy-ca.crt",
                    "--requestheader-allowed-names=front-proxy-client",
                    "--requestheader-username-headers=X-Remote-User",
                    "--requestheader-group-headers=X-Remote-Group",
                    "--requestheader-extra-headers-prefix=X-Remote-Extra-",
                    "--proxy-client-cert-file=front-proxy-client.crt",
                    "--proxy-client-key-file=front-proxy-client.key",
                ]
                .map(str::to_owned),
            );
        }
        flags.extend(options.extra_flags.iter().cloned());
        flags
    }
}
