package authpolicy

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/bearerguard/bearerguard/controllers/compile"
)

// spending is a policy of so many rules that names a source of its own.
func spending(name string, rules int) policyObject {
	spec := fmt.Sprintf(`{"issuers":[{"name":"a","keys":{"jwksURL":"https://%s.test"}}],"rules":[%s]}`,
		name, strings.TrimSuffix(strings.Repeat(`{"name":"r"},`, rules), ","))
	return policyObject{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: types.UID(name), Generation: 1}, Spec: json.RawMessage(spec)}
}

func newcomer(name string, rules int) compile.Newcomer {
	return compile.Newcomer{Namespace: "shop", Name: name, Cost: compile.Cost{Rules: rules}}
}

// edit is a policy that took so many rules before.
func edit(name string, before, rules int) compile.Newcomer {
	p := newcomer(name, rules)
	p.Was = func() *compile.Cost { return &compile.Cost{Rules: before} }
	return p
}

func TestANamespaceHasRoomForItsBudget(t *testing.T) {
	t.Parallel()
	full := &listed{}
	for i := range 80 {
		full.policies = append(full.policies, spending(fmt.Sprint("p", i), compile.MaxRules/80))
	}
	over := &listed{policies: append(full.policies[:80:80], spending("more", 200))}
	sources := &listed{}
	for i := range compile.MaxKeySources {
		sources.policies = append(sources.policies, spending(fmt.Sprint("p", i), 1))
	}
	another := newcomer("new", 1)
	another.Cost.Sources = []string{"url:https://another.test"}
	for name, tc := range map[string]struct {
		cache *listed
		p     compile.Newcomer
		want  string // part of the error; "": there is room
	}{
		"a rule too many":                        {full, newcomer("new", 1), "have 20001 rules; want at most 20000"},
		"a policy that stays as large as it is":  {full, edit("p0", 250, 250), ""},
		"a policy that becomes smaller":          {full, edit("p0", 250, 249), ""},
		"a policy that grows":                    {full, edit("p0", 250, 251), "have 20001 rules"},
		"a smaller one, where there is too much": {over, edit("more", 200, 100), ""},
		"a growing one, where there is too much": {over, edit("more", 200, 201), "have 20201 rules"},
		"a source too many":                      {sources, another, "name 501 sources of keys; want at most 500"},
		"a cache that does not answer":           {&listed{err: errors.New("not synced"), policies: full.policies}, newcomer("new", 1), ""},
	} {
		n := Neighbours{reader: tc.cache}
		err := n.Room(t.Context(), tc.p)
		if (err != nil) != (tc.want != "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
	}
	var unset Neighbours
	if err := unset.Room(t.Context(), newcomer("new", 1)); err != nil {
		t.Errorf("without a cache: %v", err)
	}
}

// A burst is let in before the cache shows any of it.
func TestABurstDoesNotPassTheBudget(t *testing.T) {
	t.Parallel()
	n := Neighbours{reader: &listed{policies: []policyObject{spending("old", 100)}}}
	var let atomic.Int32
	var all sync.WaitGroup
	for i := range 120 {
		all.Go(func() {
			if n.Room(t.Context(), newcomer(fmt.Sprint("p", i), 200)) == nil {
				let.Add(1)
			}
		})
	}
	all.Wait()
	if got := let.Load(); got != 99 {
		t.Errorf("%d policies of 200 rules were let in beside 100 rules, want 99", got)
	}
}

func TestWhatWasLetInCountsForAWhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cache := &listed{}
		n := Neighbours{reader: cache}
		room := func(p compile.Newcomer) bool { return n.Room(t.Context(), p) == nil }
		dry := newcomer("dry", compile.MaxRules)
		dry.DryRun = true
		if !room(dry) || !room(newcomer("a", compile.MaxRules)) {
			t.Fatal("a dry run takes room")
		}
		if room(newcomer("b", 1)) {
			t.Error("what was let in does not count")
		}
		cache.policies = []policyObject{spending("a", 10)} // as it was before it grew
		if room(newcomer("b", 1)) {
			t.Error("what was let in does not count while the cache shows what it was")
		}
		if !room(edit("a", compile.MaxRules, 10)) {
			t.Error("it cannot become smaller")
		}
		if !room(newcomer("b", compile.MaxRules-10)) {
			t.Error("what it does not take any more counts")
		}
		time.Sleep(expectedFor + time.Second)
		if !room(newcomer("c", compile.MaxRules-10)) {
			t.Error("what never came counts for ever")
		}
	})
}

func TestNamespacesThatExpectNothingAreForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := Neighbours{reader: &listed{}}
		for i := range 4 * expectedNamespaces {
			p := newcomer("a", 1)
			p.Namespace = fmt.Sprint(i)
			if err := n.Room(t.Context(), p); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		if got := len(n.expected); got > expectedNamespaces {
			t.Errorf("%d namespaces are remembered", got)
		}
	})
}
