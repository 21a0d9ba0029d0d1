package main

import (
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// What a controller would write down of the two kinds, whole: what comes must go in and out again unchanged.

type ClusterGateway struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   ClusterGatewaySpec   `json:"spec"`
	Status ClusterGatewayStatus `json:"status"`
}

type ClusterGatewaySpec struct {
	Provider string `json:"provider"`
	Access   struct {
		Endpoint struct {
			Type  string `json:"type"`
			Const *struct {
				Address  string `json:"address"`
				CABundle []byte `json:"caBundle,omitempty"`
				Insecure *bool  `json:"insecure,omitempty"`
				ProxyURL string `json:"proxy-url,omitempty"`
			} `json:"const,omitempty"`
		} `json:"endpoint"`
		Credential struct {
			Type string `json:"type"`
		} `json:"credential"`
	} `json:"access"`
}

type ClusterGatewayStatus struct {
	Healthy       bool               `json:"healthy"`
	HealthyReason string             `json:"healthyReason,omitempty"`
	Conditions    []metav1.Condition `json:"conditions,omitempty"`
}

type ClusterGatewayList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []ClusterGateway `json:"items"`
}

type VirtualCluster struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec VirtualClusterSpec `json:"spec"`
}

type VirtualClusterSpec struct {
	Alias          string `json:"alias,omitempty"`
	Accepted       bool   `json:"accepted"`
	Endpoint       string `json:"endpoint"`
	CredentialType string `json:"credential-type"`
}

type VirtualClusterList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []VirtualCluster `json:"items"`
}

func (in *ClusterGateway) DeepCopyObject() runtime.Object { return deepCopy(in, &ClusterGateway{}) }
func (in *ClusterGatewayList) DeepCopyObject() runtime.Object {
	return deepCopy(in, &ClusterGatewayList{})
}
func (in *VirtualCluster) DeepCopyObject() runtime.Object { return deepCopy(in, &VirtualCluster{}) }
func (in *VirtualClusterList) DeepCopyObject() runtime.Object {
	return deepCopy(in, &VirtualClusterList{})
}

// deepCopy by way of unstructured content: slow, and nobody is in a hurry here.
func deepCopy(in, out runtime.Object) runtime.Object {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(in)
	if err != nil {
		panic(err)
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(content, out); err != nil {
		panic(err)
	}
	return out
}

func unstructuredItems(list client.ObjectList) (map[string]*unstructured.Unstructured, error) {
	objects, err := meta.ExtractList(list)
	if err != nil {
		return nil, err
	}
	items := map[string]*unstructured.Unstructured{}
	for _, object := range objects {
		content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
		if err != nil {
			return nil, err
		}
		// A typed client keeps neither.
		content["apiVersion"] = group + "/v1alpha1"
		content["kind"] = kind(object)
		item := &unstructured.Unstructured{Object: content}
		if creation, found, _ := unstructured.NestedString(content, "metadata", "creationTimestamp"); !found || creation == "" {
			unstructured.RemoveNestedField(content, "metadata", "creationTimestamp")
		}
		items[item.GetName()] = item
	}
	return items, nil
}

func kind(object runtime.Object) string {
	if _, ok := object.(*VirtualCluster); ok {
		return "VirtualCluster"
	}
	return "ClusterGateway"
}
