// Package v1alpha1 is a typed client of cluster.core.oam.dev/v1alpha1, as client-gen makes one: what programs that were
// written for the Go gateway have compiled in. Its types have the fields of the Go gateway and no others, so that such a
// program is told nothing of conditions, and sends back an object without them.
package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

type ClusterGateway struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   ClusterGatewaySpec   `json:"spec,omitempty"`
	Status ClusterGatewayStatus `json:"status,omitempty"`
}

type ClusterGatewaySpec struct {
	Provider string        `json:"provider"`
	Access   ClusterAccess `json:"access"`
}

type ClusterAccess struct {
	Endpoint   *ClusterEndpoint         `json:"endpoint"`
	Credential *ClusterAccessCredential `json:"credential,omitempty"`
}

type ClusterEndpoint struct {
	Type  string                `json:"type"`
	Const *ClusterEndpointConst `json:"const,omitempty"`
}

type ClusterEndpointConst struct {
	Address  string  `json:"address"`
	CABundle []byte  `json:"caBundle,omitempty"`
	Insecure *bool   `json:"insecure,omitempty"`
	ProxyURL *string `json:"proxy-url,omitempty"`
}

type ClusterAccessCredential struct {
	Type                string `json:"type"`
	ServiceAccountToken string `json:"serviceAccountToken,omitempty"`
	X509                *X509  `json:"x509,omitempty"`
}

type X509 struct {
	Certificate []byte `json:"certificate"`
	PrivateKey  []byte `json:"privateKey"`
}

type ClusterGatewayStatus struct {
	Healthy       bool   `json:"healthy"`
	HealthyReason string `json:"healthyReason,omitempty"`
}

type ClusterGatewayList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []ClusterGateway `json:"items"`
}

type VirtualCluster struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec VirtualClusterSpec `json:"spec,omitempty"`
}

type VirtualClusterSpec struct {
	Alias          string `json:"alias,omitempty"`
	Accepted       bool   `json:"accepted,omitempty"`
	Endpoint       string `json:"endpoint,omitempty"`
	CredentialType string `json:"credential-type,omitempty"`
}

type VirtualClusterList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []VirtualCluster `json:"items"`
}
