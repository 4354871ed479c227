package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection/resourcelock"

	"github.com/bearerguard/bearerguard/controllers/push"
)

// leaseName is the Lease of leader election, in the controller's namespace.
const leaseName = "bearerguard-controller"

// leader is who leads, by the Lease. A holder's identity is "name_host:port", where its push service is.
type leader struct {
	leases    kubernetes.Interface
	namespace string
	identity  string
}

var _ push.Leader = (*leader)(nil)

func newLeader(conf *rest.Config, c config) (*leader, error) {
	leases, err := kubernetes.NewForConfig(rest.AddUserAgent(rest.CopyConfig(conf), "leader-election"))
	if err != nil {
		return nil, err
	}
	host, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("find the replica's name: %w", err)
	}
	address := net.JoinHostPort(ownAddress(), strconv.Itoa(c.pushPort))
	return &leader{leases: leases, namespace: c.namespace, identity: host + "_" + address}, nil
}

// lock is the Lease for the manager.
func (l *leader) lock() resourcelock.Interface {
	return &resourcelock.LeaseLock{
		LeaseMeta:  metav1.ObjectMeta{Namespace: l.namespace, Name: leaseName},
		Client:     l.leases.CoordinationV1(),
		LockConfig: resourcelock.ResourceLockConfig{Identity: l.identity},
	}
}

// Address implements push.Leader.
func (l *leader) Address(ctx context.Context) (string, error) {
	lease, err := l.leases.CoordinationV1().Leases(l.namespace).Get(ctx, leaseName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	holder := lease.Spec.HolderIdentity
	if holder == nil || *holder == "" || *holder == l.identity {
		return "", nil
	}
	_, address, ok := strings.Cut(*holder, "_")
	if !ok {
		return "", fmt.Errorf("the holder of lease %s/%s has no address", l.namespace, leaseName)
	}
	return address, nil
}

// ownAddress is the address by which other pods reach this one: $POD_IP, or the first that is not loopback.
func ownAddress() string {
	if ip := os.Getenv("POD_IP"); ip != "" {
		return ip
	}
	addrs, _ := net.InterfaceAddrs()
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && n.IP.IsGlobalUnicast() {
			return n.IP.String()
		}
	}
	return "127.0.0.1"
}
