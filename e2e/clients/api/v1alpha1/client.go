package v1alpha1

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/gentype"
	"k8s.io/client-go/rest"
)

// SchemeGroupVersion is where the types are.
var SchemeGroupVersion = schema.GroupVersion{Group: "cluster.core.oam.dev", Version: "v1alpha1"}

var (
	scheme         = runtime.NewScheme()
	parameterCodec = runtime.NewParameterCodec(scheme)
)

func init() {
	scheme.AddKnownTypes(
		SchemeGroupVersion, &ClusterGateway{}, &ClusterGatewayList{}, &VirtualCluster{}, &VirtualClusterList{},
	)
	metav1.AddToGroupVersion(scheme, SchemeGroupVersion)
	metav1.AddToGroupVersion(scheme, schema.GroupVersion{Version: "v1"})
}

// Client is the group's client.
type Client struct {
	rest rest.Interface
}

// ClusterGateways has the generated methods, and the Go gateway's own.
type ClusterGateways struct {
	*gentype.ClientWithList[*ClusterGateway, *ClusterGatewayList]
	rest rest.Interface
}

// VirtualClusters has the generated methods.
type VirtualClusters = gentype.ClientWithList[*VirtualCluster, *VirtualClusterList]

// NewForConfig makes a client as client-gen's NewForConfig does.
func NewForConfig(config *rest.Config) (*Client, error) {
	own := rest.CopyConfig(config)
	own.GroupVersion = &SchemeGroupVersion
	own.APIPath = "/apis"
	own.NegotiatedSerializer = rest.CodecFactoryForGeneratedClient(scheme, serializer.NewCodecFactory(scheme)).WithoutConversion()
	client, err := rest.RESTClientFor(own)
	if err != nil {
		return nil, err
	}
	return &Client{client}, nil
}

func (c *Client) ClusterGateways() *ClusterGateways {
	return &ClusterGateways{
		gentype.NewClientWithList(
			"clustergateways", c.rest, parameterCodec, "",
			func() *ClusterGateway { return &ClusterGateway{} },
			func() *ClusterGatewayList { return &ClusterGatewayList{} },
		),
		c.rest,
	}
}

func (c *Client) VirtualClusters() *VirtualClusters {
	return gentype.NewClientWithList(
		"virtualclusters", c.rest, parameterCodec, "",
		func() *VirtualCluster { return &VirtualCluster{} },
		func() *VirtualClusterList { return &VirtualClusterList{} },
	)
}

// GetHealthiness reads the subresource health.
func (c *ClusterGateways) GetHealthiness(ctx context.Context, name string, options metav1.GetOptions) (*ClusterGateway, error) {
	result := &ClusterGateway{}
	request := c.rest.Get().Resource("clustergateways").Name(name).SubResource("health")
	err := request.VersionedParams(&options, parameterCodec).Do(ctx).Into(result)
	return result, err
}

// UpdateHealthiness writes it, with the whole object, as the prober of the Go gateway's OCM addon does.
func (c *ClusterGateways) UpdateHealthiness(ctx context.Context, gateway *ClusterGateway, options metav1.UpdateOptions) (*ClusterGateway, error) {
	result := &ClusterGateway{}
	request := c.rest.Put().Resource("clustergateways").Name(gateway.Name).SubResource("health")
	err := request.VersionedParams(&options, parameterCodec).Body(gateway).Do(ctx).Into(result)
	return result, err
}
