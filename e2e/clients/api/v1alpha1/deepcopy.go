package v1alpha1

import (
	"bytes"

	"k8s.io/apimachinery/pkg/runtime"
)

func (in *ClusterGateway) DeepCopyObject() runtime.Object { return in.DeepCopy() }

func (in *ClusterGateway) DeepCopy() *ClusterGateway {
	out := *in
	in.ObjectMeta.DeepCopyInto(&out.ObjectMeta)
	if from := in.Spec.Access.Endpoint; from != nil {
		endpoint := *from
		if from.Const != nil {
			constant := *from.Const
			constant.CABundle = bytes.Clone(from.Const.CABundle)
			constant.Insecure = clone(from.Const.Insecure)
			constant.ProxyURL = clone(from.Const.ProxyURL)
			endpoint.Const = &constant
		}
		out.Spec.Access.Endpoint = &endpoint
	}
	if from := in.Spec.Access.Credential; from != nil {
		credential := *from
		if from.X509 != nil {
			credential.X509 = &X509{
				Certificate: bytes.Clone(from.X509.Certificate),
				PrivateKey:  bytes.Clone(from.X509.PrivateKey),
			}
		}
		out.Spec.Access.Credential = &credential
	}
	return &out
}

func (in *ClusterGatewayList) DeepCopyObject() runtime.Object {
	out := *in
	in.ListMeta.DeepCopyInto(&out.ListMeta)
	out.Items = copies(in.Items, (*ClusterGateway).DeepCopy)
	return &out
}

func (in *VirtualCluster) DeepCopyObject() runtime.Object { return in.DeepCopy() }

func (in *VirtualCluster) DeepCopy() *VirtualCluster {
	out := *in
	in.ObjectMeta.DeepCopyInto(&out.ObjectMeta)
	return &out
}

func (in *VirtualClusterList) DeepCopyObject() runtime.Object {
	out := *in
	in.ListMeta.DeepCopyInto(&out.ListMeta)
	out.Items = copies(in.Items, (*VirtualCluster).DeepCopy)
	return &out
}

func copies[T any](items []T, deepCopy func(*T) *T) []T {
	if items == nil {
		return nil
	}
	out := make([]T, len(items))
	for at := range items {
		out[at] = *deepCopy(&items[at])
	}
	return out
}

func clone[T any](value *T) *T {
	if value == nil {
		return nil
	}
	out := *value
	return &out
}
