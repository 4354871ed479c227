package authpolicy

import (
	"context"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bearerguard/bearerguard/api/revoked"
)

// lists answers with some revocations.
type lists struct {
	client.Reader
	objects []revocationObject
}

func (l lists) List(_ context.Context, into client.ObjectList, _ ...client.ListOption) error {
	if o, ok := into.(*revocationObjects); ok {
		o.Items = l.objects
	}
	return nil
}

// entries is a list of so many that are never over.
func entries(n int) revoked.List {
	l := make(revoked.List, n)
	for i := range l {
		copy(l[i][12:], "\xff\xff\xff\xff\xff\xff\xff\xff")
	}
	return l
}

func TestANamespaceHasRoomForAMillionRevocations(t *testing.T) {
	t.Parallel()
	var full lists
	for _, name := range []string{"a", "b"} {
		o := revocationObject{Spec: revocationSpec{entries: entries(revoked.Most / 2)}}
		o.Name = name
		full.objects = append(full.objects, o)
	}
	over := lists{objects: append(full.objects[:2:2], revocationObject{Spec: revocationSpec{entries: entries(5)}})}
	ended := entries(1)
	copy(ended[0][16:], "\x00\x00\x00\x01")
	for name, tc := range map[string]struct {
		have    lists
		object  string
		entries revoked.List
		refused string
	}{
		"one more":                         {full, "c", entries(1), "have 1000001 entries"},
		"one more, which is over":          {full, "c", ended, ""},
		"an object as large as it was":     {full, "b", entries(revoked.Most / 2), ""},
		"an object that grows":             {full, "b", entries(revoked.Most/2 + 1), "spec.entries: has 500001 entries"},
		"fewer, where there were too many": {over, "b", entries(revoked.Most/2 - 1), ""},
	} {
		var c Counted
		c.use(tc.have, nil)
		err := c.Check(t.Context(), "shop", tc.object, tc.entries, time.Now())
		if (err != nil) != (tc.refused != "") || err != nil && !strings.Contains(err.Error(), tc.refused) {
			t.Errorf("%s: %v, want %q", name, err, tc.refused)
		}
	}
}
