package keys

import (
	"fmt"
	"testing"
)

func secrets(namespace string, n int) []object {
	var out []object
	for i := range n {
		out = append(out, object{secret, namespace, fmt.Sprintf("s%05d", i)})
	}
	return out
}

func TestANamespaceWithManySecretsDelaysNoOther(t *testing.T) {
	t.Parallel()
	objects := append(secrets("greedy", 10_000), secrets("shop", 2)...)
	var r rota
	read := map[object]int{}
	for range 110 {
		round := r.next(objects, 100)
		if len(round) != 100 {
			t.Fatalf("%d reads in a round, want 100", len(round))
		}
		for _, o := range round {
			read[o]++
		}
	}
	for _, o := range objects {
		switch n := read[o]; {
		case o.namespace == "shop" && n != 110:
			t.Errorf("%s/%s was read in %d of 110 rounds", o.namespace, o.name, n)
		case n == 0:
			t.Errorf("%s/%s was never read", o.namespace, o.name)
		}
	}
}

func TestEveryNamespaceHasItsTurn(t *testing.T) {
	t.Parallel()
	var objects []object
	for i := range 250 {
		objects = append(objects, secrets(fmt.Sprintf("n%03d", i), 2)...)
	}
	var r rota
	read := map[object]int{}
	for range 50 {
		for _, o := range r.next(objects, 100) {
			read[o]++
		}
	}
	for _, o := range objects {
		if n := read[o]; n != 10 {
			t.Errorf("%s/%s was read %d times, want as often as any", o.namespace, o.name, n)
		}
	}
	if got := r.next(objects[:2], 100); len(got) != 2 {
		t.Errorf("of two objects %d are read in a round", len(got))
	}
	if got := r.next(nil, 100); len(got) != 0 || len(r.at) != 0 {
		t.Errorf("of no objects %d are read; %d namespaces are remembered", len(got), len(r.at))
	}
}
