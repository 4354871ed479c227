package authpolicy

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
)

// Every replica of every release holds the metadata of all pods of the cluster: docs/scale.md reckons with what this prints.
func TestMemoryOfAPodInTheCache(t *testing.T) {
	const pods = 20_000
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	kept := toolscache.NewIndexer(toolscache.MetaNamespaceKeyFunc, toolscache.Indexers{toolscache.NamespaceIndex: toolscache.MetaNamespaceIndexFunc})
	for i := range pods {
		p := podMetadata()
		p.ObjectMeta = metav1.ObjectMeta{
			Namespace: fmt.Sprintf("team-%d", i/200), Name: fmt.Sprintf("orders-%d-7c9fd5b6d8-%05d", i/10, i), UID: types.UID(fmt.Sprintf("0b5b8a7c-6d1e-4a9f-b8e2-%012d", i)),
			ResourceVersion: fmt.Sprint(i), GenerateName: "orders-7c9fd5b6d8-", Labels: map[string]string{}, Annotations: map[string]string{
				"bearerguard.dev/inject": "enabled", "bearerguard.dev/injected": strings.Clone("v0.1.0"), "checksum/config": strings.Repeat("f", 64),
			},
			OwnerReferences: []metav1.OwnerReference{{Kind: "ReplicaSet", Name: "orders-7c9fd5b6d8"}}, ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubelet"}},
		}
		for _, l := range []string{"app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/version", "app.kubernetes.io/part-of", "pod-template-hash", "bearerguard.dev/injected"} {
			p.Labels[strings.Clone(l)] = fmt.Sprintf("value-%d", i)
		}
		o, err := slim(p)
		if err != nil {
			t.Fatal(err)
		}
		if err := kept.Add(o); err != nil {
			t.Fatal(err)
		}
	}
	each := (heap() - before) / pods
	t.Logf("a pod with six labels takes %d bytes in the cache, 100,000 take %d MiB", each, each*100_000>>20)
	if each > 3<<10 {
		t.Errorf("a pod takes %d bytes, at most 3 KiB wanted", each)
	}
	runtime.KeepAlive(kept)
}
